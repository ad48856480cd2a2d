"""Privileged grant: somebody was given a role that can do nearly everything.

Fires for roles that match the policy's `privileged_roles`, unless the grant was approved (`approval`).
False positives: names that only sound like administration; tune the patterns.
ATT&CK T1098.003 (Additional Cloud Roles).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.approval import is_approved
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.patterns import matches_any
from keytrail.stream.policy import Policy

RULE = Rule("privileged_grant", 2, "act", "critical", "T1098.003")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "grant" or event.outcome != "success" or event.role is None:
        return
    if is_approved(event) or not matches_any(policy.privileged_roles, event.role):
        return
    yield Verdict(
        RULE,
        "subject",
        event.whose,
        event.role,
        f"{event.actor_id} gave {event.whose} the privileged role {event.role}, and nobody approved it.",
        f"Ask {event.actor_id} why; if it is not meant, revoke {event.role} from {event.whose}.",
        details={"actor": event.actor_id, "key": event.key_id or "", "service": event.service},
    )
