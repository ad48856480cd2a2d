"""Self-approval: a change was approved by the one who made it, or by the one who gained by it.

Fires for successful access changes; one finding an approver, since the habit is the cause.  False positives:
systems that write the actor into `approved_by` where nobody was asked; have them leave it empty.
ATT&CK T1098 (Account Manipulation).  Source of the idea: separation of duties in approval, SOC 2 CC6.2.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.access_change import ACCESS_CHANGES
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("self_approval", 1, "act", "high", "T1098")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action not in ACCESS_CHANGES or event.outcome != "success" or not event.approved_by:
        return
    if event.approved_by not in (event.actor_id, event.whose):
        return
    how = "made" if event.approved_by == event.actor_id else "gains by"
    yield Verdict(
        RULE,
        "subject",
        event.approved_by,
        "",
        f"{event.approved_by} approved an access change that it {how} itself.",
        f"Have somebody else approve it, and have {event.service} refuse such approvals.",
        details={"action": event.action, "subject": event.whose, "service": event.service},
    )
