"""Toxic combination: a subject holds roles that nobody should hold together (separation of duties).

Formula: for one of the policy's `separations`, a held role is like one of `first` and another like one of
`second`.  The cause is the separation's name.  Resolves when one side is gone.  Environments are not told
apart: name the roles of each in the patterns.  False positives: small teams that have no second person; say
so as an exception.  ATT&CK T1098.003 (Additional Cloud Roles).  Source of the idea: static separation of duty
in ANSI INCITS 359 (RBAC).
"""

from collections.abc import Iterator
from functools import lru_cache

from keytrail.schemas.records import Event
from keytrail.stream.access import SubjectAccess
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.patterns import matches_any
from keytrail.stream.policy import Policy, Separation
from keytrail.stream.role import Role

RULE = Rule("toxic_combination", 1, "condition", "high", "T1098.003")
_EVIDENCE = 5  # of each side


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:
    """What changed with this event; `access` already holds it, and its `toxic` is brought up to date."""
    now = {}
    for separation in policy.separations:
        first, second = _sides(access, separation)
        if any(a != b for a, _ in first for b, _ in second):
            now[separation.name] = (first, second)
    for name in sorted(access.toxic - now.keys()):
        access.toxic.discard(name)
        yield _verdict(event, name, f"{event.whose} no longer holds both sides of {name}.", holds=False)
    for name in sorted(now.keys() - access.toxic):
        access.toxic.add(name)
        first, second = now[name]
        one, other = next((a, b) for a, _ in first for b, _ in second if a != b)
        yield _verdict(
            event,
            name,
            f"{event.whose} holds {one} and {other}, which {name} keeps apart.",
            f"Revoke one of them from {event.whose}, or have somebody answer for the exception.",
            roles=(*first[:_EVIDENCE], *second[:_EVIDENCE]),
        )


def _sides(
    access: SubjectAccess, separation: Separation
) -> tuple[list[tuple[str, Role]], list[tuple[str, Role]]]:
    first, second = [], []
    for name, role in access.held():
        in_first, in_second = _places(separation, name)
        if in_first:
            first.append((name, role))
        if in_second:
            second.append((name, role))
    return first, second


@lru_cache(maxsize=65_536)
def _places(separation: Separation, role: str) -> tuple[bool, bool]:
    return matches_any(separation.first, role), matches_any(separation.second, role)


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
