"""Privileged grant: somebody was given a role that can do nearly everything.

Fires for roles that match the policy's `privileged_roles`, include one that does, or give a permission that
matches `privileged_permissions` (`stream/policies/privilege.py`), unless the grant was approved (`approval`).
False positives: names that only sound like administration; tune the patterns.
ATT&CK T1098.003 (Additional Cloud Roles).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.approval import is_approved
from keytrail.stream.detections.escalation_ways import way_gone
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.privilege import is_privileged

RULE = Rule("privileged_grant", 3, "act", "critical", "T1098.003")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "grant" or event.outcome != "success" or event.role is None:
        return
    if is_approved(event) or not is_privileged(event.role, event.permissions, policy):
        return
    way = way_gone(event)
    by = f" by {way}" if way else ""
    yield Verdict(
        RULE,
        "subject",
        event.whose,
        event.role,
        f"{event.actor_id} gave {event.whose} the privileged role {event.role}{by}, and nobody approved it.",
        f"Ask {event.actor_id} why; if it is not meant, revoke {event.role} from {event.whose}.",
        details={"actor": event.actor_id, "key": event.key_id or "", "service": event.service, "path": way},
    )
