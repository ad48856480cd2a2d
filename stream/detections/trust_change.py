"""Trust change: who may take on a role was changed.

Fires for `update_trust`: the trust policy of a role names who may assume it, so a change can let
an outsider in without granting anybody anything.  False positives: infrastructure tools that
rewrite the same policy.  ATT&CK T1098 (Account Manipulation), T1484.002 (Trust Modification).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.escalation_ways import way_gone
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("trust_change", 1, "act", "high", "T1484.002")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action == "update_trust" and event.outcome == "success":
        yield Verdict(
            RULE,
            "subject",
            event.whose,
            "",
            f"{event.actor_id} changed who may take on the role {event.whose}.",
            f"Compare the trust policy of {event.whose} with the one before; put that back if it was safer.",
            details={
                "actor": event.actor_id,
                "key": event.key_id or "",
                "service": event.service,
                "path": way_gone(event),
            },
        )
