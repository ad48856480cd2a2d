"""Role explosion: a team has more roles than anybody can look after.

A role is of the team that its grant states (`attributes.team`); where grants state none nothing is found.
There are five causes, each a finding of its own, and each takes `explosion.least_roles` roles:

    new         first granted within some `new_days`, in a team that was known for `settled_days` before that
    one holder  held by one subject, and `share` of the team's roles or more
    nobody      held once and by nobody now, and `share` of the team's roles or more
    identical   held, with the very permissions of another one that is held, and `share` of the roles or more
    same holders  held by several, the very holders of another one, and `share` of the roles or more

What a role gives is as its latest grant states.  Holders are compared by a sum of 64-bit digests.  The count
is the number of roles.  Seen with the next grant or revoke in the team; resolves when there are fewer, and
where roles came at once after 400 days.  A grant that comes after its revoke is not counted.

False positives: teams whose roles are made for one task each by a tool, and go with it, and teams that give
each member the same dozens of roles; raise `least_roles`.  No ATT&CK technique: it is what others hide in.
OWASP NHI5:2025 (Overprivileged NHI).  Source of the idea: the inefficiencies of role data in IAM Role Diet
(2025): roles with no user, with one, with equal permissions, with equal users.

This half (`judge`) runs where the subject's events are, and tells what came and went.  The other (`excesses`)
runs where a team's roles come together (`stream/access/census.py`).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from keytrail.schemas.records import Event, RoleHolding
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.role import Role
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("role_explosion", 1, "condition", "low", None, measure="figure")


@dataclass(frozen=True)
class RoleFigures:
    """Numbers of one team's roles; `new` are the most that came within some `explosion.new_days`."""

    roles: int
    new: int
    one_holder: int
    nobody: int
    identical: int
    same_holders: int


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    """What the subject holds more or less, by team; `told_team` of its roles is brought up to date."""
    by_team: dict[str, list[RoleHolding]] = {}
    holder = _hashed(event.whose)
    for name, role in _concerned(event, access):
        team = role.team if role.held else ""
        if role.told_team and role.told_team != team:
            by_team.setdefault(role.told_team, []).append(_holding(name, role, -1, holder))
        if team:
            change = 0 if role.told_team == team else 1
            by_team.setdefault(team, []).append(_holding(name, role, change, holder))
        role.told_team = team
    for team, holdings in by_team.items():
        yield Verdict(RULE, "team", team, "", "", "", holdings=tuple(holdings))


def excesses(figures: RoleFigures, policy: Policy) -> dict[str, int]:
    """By cause, of how many roles there are too many."""
    limits = policy.explosion
    counts = {
        "one holder": figures.one_holder,
        "nobody": figures.nobody,
        "identical": figures.identical,
        "same holders": figures.same_holders,
    }
    least = max(limits.least_roles, limits.share * figures.roles)
    found = {cause: count for cause, count in counts.items() if count >= least}
    if figures.new >= limits.least_roles:
        found["new"] = figures.new
    return found


def _concerned(event: Event, access: SubjectAccess) -> Iterable[tuple[str, Role]]:
    if event.action == "delete":
        return access.roles.items()
    role = access.roles.get(event.role or "")
    return [(event.role or "", role)] if role is not None else ()


def _holding(name: str, role: Role, change: int, holder: str) -> RoleHolding:
    first = next((turn.at for turn in role.history() if turn.is_grant), role.changed.occurred_at)
    return RoleHolding(name, change, _digest(role.permissions), role.changed.occurred_at, first, holder)


@lru_cache(maxsize=4_096)
def _digest(permissions: tuple[str, ...]) -> str:
    """The same for the same permissions in any order; "" where none are stated."""
    if not permissions:
        return ""
    text = "".join(f"{len(permission)}:{permission}" for permission in sorted(set(permissions)))
    return _hashed(text)


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
