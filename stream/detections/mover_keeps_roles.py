"""Mover keeps roles: a subject changed teams, and still holds what it was granted in the team it left.

Formula: a role is held whose grant stated another team than the subject's team now (`attributes.team`), the
role is like none of `movers.common_roles`, and more than `movers.grace_days` lie between the move and the
subject's latest event.  It moved on the first day on which it was seen in its present team, or the last on
which it was seen in the other one, whichever is later.  One finding for each team that was left; the cause is
that team.  Seen with the subject's next event, not by the clock.  Resolves when those roles are revoked, or
granted anew in the present team.  Where events state no team nothing is found.

False positives: roles that everybody holds (name them in `common_roles`); people who go on helping out (grant
them the role anew, with an end).  ATT&CK T1078 (Valid Accounts); OWASP NHI1:2025 (Improper Offboarding).
Source of the idea: the mover in joiner-mover-leaver processes, NIST SP 800-53 PS-5 (Personnel Transfer).
"""

from collections.abc import Iterable, Iterator

from keytrail.schemas.records import Event
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.role import Role
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

RULE = Rule("mover_keeps_roles", 1, "condition", "medium", "T1078")


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterable[Verdict]:
    """What changed with this event; `access` already holds it, and its `left_teams` is brought up to date."""
    moved = len(access.membership.sights) > 1
    return _changed(event, access, policy) if moved or access.left_teams else ()


def _changed(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:
    kept = _kept(access, policy)
    for team in sorted(access.left_teams - kept.keys()):
        access.left_teams.discard(team)
        summary = f"{event.whose} no longer holds roles of {team}, which it left."
        yield Verdict(RULE, "subject", event.whose, team, summary, "", holds=False)
    for team in sorted(kept.keys() - access.left_teams):
        access.left_teams.add(team)
        roles = ", ".join(name for name, _ in kept[team])
        yield Verdict(
            RULE,
            "subject",
            event.whose,
            team,
            f"{event.whose} moved from {team} to {access.team} and still holds roles of {team}: {roles}.",
            f"Revoke what {event.whose} does not need in {access.team}; grant anew what it does.",
            details={"roles": roles, "team": access.team},
            evidence=tuple(role.changed for _, role in kept[team]),
        )


def _kept(access: SubjectAccess, policy: Policy) -> dict[str, list[tuple[str, Role]]]:
    """By team that was left for long enough: the roles held that were granted there."""
    kept: dict[str, list[tuple[str, Role]]] = {}
    if len(access.membership.sights) == 1 or not access.membership.is_stated:
        return kept
    left_before = access.latest_day - policy.movers.grace_days
    for name, role in access.held():
        if role.team in ("", access.team) or matches_any(policy.movers.common_roles, name):
            continue
        if access.membership.left_day(role.team) < left_before:
            kept.setdefault(role.team, []).append((name, role))
    return kept
