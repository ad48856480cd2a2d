"""Role sprawl: a subject holds far more roles than its peers, and does not use them or gathers them fast.

Formula, with n roles held, m the median of roles held by the members of its team who hold any, and d the
median of their distances from m:

    n >= least_roles  and  n >= times_peers * m  and  n >= m + peers_deviations * 1.4826 * d
    and  (2 * unused >= n  or  grown >= growth_roles)

Where the members of a team differ widely, twice the median is nothing unusual; 1.4826 * d is like a standard
deviation that outliers, the sprawl itself among them, do not move.  `unused` counts roles not used within
`unused_days` before the subject's latest event, `grown` those granted within `growth_days` before it.  A team
of fewer than `least_peers` says nothing about what is usual: there n >= lonely_roles takes the place of the
second and third parts.  Resolves when it no longer holds.

False positives: people who really do several jobs; on-call roles that lie unused by design.
ATT&CK T1098.003 (Additional Cloud Roles); OWASP NHI5:2025 (Overprivileged NHI).  Source of the idea for d:
Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).

The first half (`profile_of`) runs where the subject's events are; the second (`sprawls`) where its
team's profiles come together.
"""

from keytrail.schemas.records import Event, Profile
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.peers import Usual
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("role_sprawl", 2, "condition", "high", "T1098.003", measure="figure")
_EVIDENCE = 10
_DEVIATION = 1.4826  # of a normal distribution, in median distances from the median


def judge(event: Event, access: SubjectAccess, policy: Policy) -> list[Verdict]:
    """The subject's figures for its peers, where they changed; `access.reported_*` is brought up to date.

    A subject that moved tells the team it left that it holds nothing there any more.
    """
    verdicts = []
    held = access.held()
    moved = access.reported_roles > 0 and access.reported_team != access.team
    if moved:
        left = Profile(access.reported_team, 0, access.reported_roles, 0, 0)
        verdicts.append(_verdict(event, access, left))
    previous = 0 if moved else access.reported_roles
    if len(held) != previous or len(held) >= policy.sprawl.least_roles:
        verdicts.append(_verdict(event, access, profile_of(access, previous, policy)))
    access.reported_team, access.reported_roles = access.team, len(held)
    return verdicts


def profile_of(access: SubjectAccess, previous_roles: int, policy: Policy) -> Profile:
    held = access.held()
    used_since = access.latest_day - policy.sprawl.unused_days
    grown_since = access.latest_day - policy.sprawl.growth_days
    return Profile(
        team=access.team,
        roles=len(held),
        previous_roles=previous_roles,
        unused=sum(1 for _, role in held if role.last_used_day <= used_since),
        grown=sum(1 for _, role in held if role.day > grown_since),
    )


def sprawls(profile: Profile, usual: Usual, policy: Policy) -> bool:
    limits = policy.sprawl
    if profile.roles < limits.least_roles:
        return False
    if usual.members >= limits.least_peers:
        if profile.roles < limits.times_peers * usual.median:
            return False
        if profile.roles < usual.median + limits.peers_deviations * _DEVIATION * usual.spread:
            return False
    elif profile.roles < limits.lonely_roles:
        return False
    return 2 * profile.unused >= profile.roles or profile.grown >= limits.growth_roles


def _verdict(event: Event, access: SubjectAccess, profile: Profile) -> Verdict:
    held = [role.changed for _, role in access.held()] if profile.roles else []
    evidence = held if len(held) <= _EVIDENCE else held[: _EVIDENCE // 2] + held[-_EVIDENCE // 2 :]
    return Verdict(
        RULE,
        "subject",
        event.whose,
        profile.team,
        f"{event.whose} holds {profile.roles} roles, {profile.unused} of them unused.",
        f"Review the roles of {event.whose} and revoke those it does not need.",
        holds=profile.roles > 0,
        evidence=tuple(evidence),
        profile=profile,
    )
