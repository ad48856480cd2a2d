"""Escalation path: a grant lets its subject give itself more.

Fires for a grant, not approved (`approval`), of a role with a permission like one of the policy's
`escalation_permissions`: attach or put a policy, pass a role, create a key for another, change who may take
on a role.  A role that is privileged by name is `privileged_grant`'s.  One that ends in
`*` counts where it covers such a permission: `*`, `iam:*`, `iam:Pass*`.  False positives: administrators'
tools whose changes are approved elsewhere; state it in the events.
ATT&CK T1098.003 (Additional Cloud Roles), T1548 (Abuse Elevation Control Mechanism).  Source of the idea:
the public lists of privilege escalation paths in AWS IAM.
"""

from collections.abc import Iterator, Sequence

from keytrail.schemas.records import Event
from keytrail.stream.detections.approval import is_approved
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.patterns import matches_any
from keytrail.stream.policy import Policy

RULE = Rule("escalation_path", 1, "act", "critical", "T1098.003")
_NAMED = 5


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "grant" or event.outcome != "success" or event.role is None:
        return
    if is_approved(event) or matches_any(policy.privileged_roles, event.role):
        return
    paths = [p for p in event.permissions if _leads_on(p, policy.escalation_permissions)]
    if not paths:
        return
    named = ", ".join(paths[:_NAMED])
    yield Verdict(
        RULE,
        "subject",
        event.whose,
        event.role,
        f"{event.actor_id} gave {event.whose} the role {event.role}, a way to more: {named}.",
        f"Revoke {event.role} from {event.whose}, or take {paths[0]} out of it.",
        details={"actor": event.actor_id, "key": event.key_id or "", "permissions": named},
    )


def _leads_on(permission: str, patterns: Sequence[str]) -> bool:
    if matches_any(patterns, permission):
        return True
    begin, star, rest = permission.lower().partition("*")
    return bool(star) and not rest.strip("*:") and any(p.lower().startswith(begin) for p in patterns)
