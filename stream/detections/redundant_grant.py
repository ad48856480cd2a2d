"""Redundant grant: a role gives a subject nothing that its earlier roles did not give.

Formula: a role or group granted earlier and still held includes the role (`roles` of the policy); or
permissions(role) is not empty and lies within the union of the permissions of the roles granted earlier and
still held.  The permissions are those that its grant stated, and those that the policy describes, of the
roles and groups within it too.  `*` in a permission covers what it matches.  Resolves when the role, or the
roles that cover it, are gone.  False positives: roles whose permissions are listed incompletely.  Source of
the idea: IAM Role Diet (2025), "shadowed" roles.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.role import Role
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.role_model import RoleModel

RULE = Rule("redundant_grant", 2, "condition", "low", None)


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:
    """What changed with this event; `access` already holds it, and its `redundant` is brought up to date."""
    now = dict(_redundant(access.held(), policy.role_model))
    for name in sorted(access.redundant - now.keys()):
        access.redundant.discard(name)
        yield Verdict(
            RULE,
            "subject",
            event.whose,
            name,
            f"{event.whose} no longer holds {name} besides roles that give the same.",
            "",
            holds=False,
        )
    for name in sorted(now.keys() - access.redundant):
        access.redundant.add(name)
        role = now[name]
        yield Verdict(
            RULE,
            "subject",
            event.whose,
            name,
            f"{event.whose} was granted {name}, whose permissions its other roles already give.",
            f"Revoke {name} from {event.whose}, or take the permissions out of the other roles.",
            details={"permissions": ", ".join(policy.role_model.permissions(name, role.permissions))},
            evidence=(role.changed,),
        )


def _redundant(held: list[tuple[str, Role]], model: RoleModel) -> Iterator[tuple[str, Role]]:
    given: set[str] = set()
    included: set[str] = set()
    for name, role in held:
        permissions = model.permissions(name, role.permissions)
        covered = bool(permissions) and all(_covered(permission, given) for permission in permissions)
        if covered or name in included:
            yield name, role
        given.update(permissions)
        included.update(model.within(name))


def _covered(permission: str, given: set[str]) -> bool:
    if permission in given:
        return True
    patterns = [g for g in given if "*" in g]
    return bool(patterns) and "*" not in permission and matches_any(patterns, permission)
