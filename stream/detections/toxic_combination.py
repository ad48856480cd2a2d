"""Toxic combination: a subject holds duties that nobody should hold together (separation of duties).

Formula: for one of the policy's `separations`, something that it holds is of the `first` duty and something
else of the `second`.  What it holds are its roles, the roles and groups within them (`roles` of the policy),
and what they permit: as their grants stated it, and as the policy says.  So one role that gives both sides is
enough, and one permission that covers both, such as `payment.*`; what permits everything is
`privileged_grant`'s.  Roles count whose grant was in one of the separation's `environments`; with `within`,
two count together only where both were granted in the same environment, or for the same resource.  A
grant that names none is for all.  The cause is the separation's name.  Resolves when one side is gone.

A role is where its latest grant was: granted in a second environment, it counts for that one.  False
positives: small teams that have no second person; say so as an exception.  ATT&CK T1098.003 (Additional Cloud
Roles).  Source of the idea: static separation of duty in ANSI INCITS 359 (RBAC).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from keytrail.schemas.records import Event
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.role import Role
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

RULE = Rule("toxic_combination", 2, "condition", "high", "T1098.003")
_EVIDENCE = 5  # of each side


class _Duty(NamedTuple):
    """Something of one side: the name of a role, or a permission, and the held role that it comes with."""

    what: str
    name: str
    role: Role


_Sides = tuple[list[_Duty], list[_Duty]]  # the first and the second


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:
    """What changed with this event; `access` already holds it, and its `toxic` is brought up to date."""
    now = {}
    if sides := _sides(access, policy):
        for separation in policy.separations:
            first, second = sides.get(separation.name, ((), ()))
            if first and second and (pair := _pair(first, second, separation)) is not None:
                now[separation.name] = (pair, first, second)
    for name in sorted(access.toxic - now.keys()):
        access.toxic.discard(name)
        yield _verdict(event, name, f"{event.whose} no longer holds both sides of {name}.", holds=False)
    for name in sorted(now.keys() - access.toxic):
        access.toxic.add(name)
        pair, first, second = now[name]
        one, other = (_said(duty) for duty in pair)
        yield _verdict(
            event,
            name,
            f"{event.whose} holds {one} and {other}, which {name} keeps apart.",
            f"Revoke one of them from {event.whose}, or have somebody answer for the exception.",
            roles=tuple((_roles(first) | _roles(second)).items()),
        )


def _sides(access: SubjectAccess, policy: Policy) -> dict[str, _Sides]:
    """By the separation's name, for those that the subject holds something of."""
    found: dict[str, _Sides] = {}
    for name, role in access.held():
        for apart, first, second in policy.duties.of(name, role.permissions):
            if role.environment and not matches_any(apart.environments, role.environment):
                continue
            sides = found.setdefault(apart.name, ([], []))
            for side, what in zip(sides, (first, second), strict=True):
                side += [_Duty(one, name, role) for one in what]
    return found


def _pair(
    first: Sequence[_Duty], second: Sequence[_Duty], separation: Separation
) -> tuple[_Duty, _Duty] | None:
    """Two that are not to be held together."""
    for one in first:
        for other in second:
            if (one.what != other.what or "*" in one.what) and _is_same_place(
                one.role, other.role, separation.within
            ):
                return one, other
    return None


def _is_same_place(one: Role, other: Role, within: str) -> bool:
    if within == "environment":
        return one.environment == other.environment or not (one.environment and other.environment)
    if within == "resource":
        return one.resource == other.resource or not (one.resource and other.resource)
    return True


def _said(duty: _Duty) -> str:
    return duty.name if duty.what == duty.name else f"{duty.name} (with {duty.what})"


def _roles(side: Iterable[_Duty]) -> dict[str, Role]:
    """The first ones of the side."""
    return dict(islice({duty.name: duty.role for duty in side}.items(), _EVIDENCE))


def _verdict(
    event: Event,
    name: str,
    summary: str,
    remedy: str = "",
    roles: tuple[tuple[str, Role], ...] = (),
    *,
    holds: bool = True,
) -> Verdict:
    return Verdict(
        RULE,
        "subject",
        event.whose,
        name,
        summary,
        remedy,
        holds=holds,
        details={"roles": ", ".join(role for role, _ in roles)} if roles else {},
        evidence=tuple(role.changed for _, role in roles),
    )
