"""Escalation path: a grant lets its subject give itself more.

Fires for a grant, not approved (`approval`), of a role with a permission like one of the policy's
`escalation_permissions`: attach or put a policy, pass a role, create a key for another, change who may take
on a role.  What the policy describes of the role, and of those within it, counts as what the event states.
One that ends in `*` counts where it covers such a permission: `*`, `iam:*`, `iam:Pass*`.  A role that is
privileged is `privileged_grant`'s.  The ways are named as in `escalation_ways`.  False positives:
administrators' tools whose changes are approved elsewhere; state it in the events. ATT&CK T1098.003
(Additional Cloud Roles), T1548 (Abuse Elevation Control Mechanism).  Source of the idea: the public lists of
privilege escalation paths in AWS IAM.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.approval import is_approved
from keytrail.stream.detections.escalation_ways import way_of
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.permissions import reaches
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.privilege import is_privileged

RULE = Rule("escalation_path", 2, "act", "critical", "T1098.003")
_NAMED = 5


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "grant" or event.outcome != "success" or event.role is None:
        return
    if is_approved(event) or is_privileged(event.role, event.permissions, policy):
        return
    given = policy.role_model.permissions(event.role, event.permissions)
    paths = [p for p in given if reaches(p, policy.escalation_permissions)]
    if not paths:
        return
    named = ", ".join(paths[:_NAMED])
    ways = ", ".join(map(way_of, paths[:_NAMED]))
    yield Verdict(
        RULE,
        "subject",
        event.whose,
        event.role,
        f"{event.actor_id} gave {event.whose} the role {event.role}, a way to more: {ways}.",
        f"Revoke {event.role} from {event.whose}, or take {paths[0]} out of it.",
        details={"actor": event.actor_id, "key": event.key_id or "", "permissions": named, "path": ways},
    )
