"""Flapping: a role comes and goes, so that nobody who looks sees it held.

Formula: among the latest grants and revokes of one role of a subject (16, of 31 days:
`stream/access/role.py`), either `flapping.times` revokes each follow a grant within `flapping.within_hours`
before the last of them, or the role is like one of `privileged_roles` and a revoke came within
`flapping.brief_minutes` after its grant.
The subject's own deletion counts as no revoke.  The cause is the role.  Resolves when later changes of the
role were calm: one that came and went in minutes once is told until so many changes followed, or so much time
passed before the last of them, that the moment is no longer kept.

Whether the role was used in between is not asked: uses may be missing from what a service reports.
False positives: tools that grant a role for each of their runs (raise `times`); a grant taken back at once
because it was a mistake.  ATT&CK T1548.005 (Temporary Elevated Cloud Access).  Source of the idea: the
Stratus Red Team exercises, whose grants live for seconds.
"""

from collections.abc import Iterator
from itertools import pairwise

from keytrail.schemas.records import Event, Occurrence
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.role import Role, Turn
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.privilege import is_privileged

RULE = Rule("flapping", 1, "condition", "medium", "T1548.005")
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE

_Spell = tuple[Turn, Turn]  # a grant, and the revoke that ended it


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:
    """What changed with this event; `access` already holds it, and its `flapping` is brought up to date."""
    for name in sorted({event.role or "", *(access.flapping - access.roles.keys())}):
        role = access.roles.get(name)
        spells = _suspicious(name, role, policy) if role is not None and len(role.turns) > 1 else []
        if spells and name not in access.flapping:
            access.flapping.add(name)
            yield _begun(event.whose, name, spells)
        elif not spells and name in access.flapping:
            access.flapping.discard(name)
            summary = f"{name} no longer comes and goes for {event.whose}."
            yield Verdict(RULE, "subject", event.whose, name, summary, "", holds=False)


def _begun(subject: str, name: str, spells: list[_Spell]) -> Verdict:
    shortest = min(revoke.at - grant.at for grant, revoke in spells) // _SECOND
    often = "once" if len(spells) == 1 else f"{len(spells)} times"
    return Verdict(
        RULE,
        "subject",
        subject,
        name,
        f"{subject} was granted {name} and lost it soon after, {often}; the shortest time was {shortest} s.",
        f"Ask who granted {name} to {subject} what it was for, and see what was done meanwhile.",
        details={"times": str(len(spells)), "shortest_seconds": str(shortest)},
        evidence=tuple(Occurrence(turn.at, turn.event_id) for spell in spells for turn in spell),
    )


def _suspicious(name: str, role: Role, policy: Policy) -> list[_Spell]:
    """The spells in which the role was held that are too many or, of a privileged one, too brief."""
    limits = policy.flapping
    spells = [(one, two) for one, two in pairwise(role.turns) if one.is_grant and not two.is_grant]
    if not spells:
        return []
    since = spells[-1][1].at - limits.within_hours * _HOUR
    recent = [spell for spell in spells if spell[0].at >= since]
    if len(recent) >= limits.times:
        return recent
    brief = [(one, two) for one, two in spells if two.at - one.at <= limits.brief_minutes * _MINUTE]
    return brief if brief and is_privileged(name, (), policy) else []
