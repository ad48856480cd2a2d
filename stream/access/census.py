"""The roles of each team, and how many there are of those that nobody needs.

A team's figures are kept up to date with each role that comes or goes, and never counted anew: a team may
have 100,000 roles.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from keytrail.schemas.records import Occurrence, RoleHolding, Signal
from keytrail.stream.access.peers import candidate_key
from keytrail.stream.access.role import DAY
from keytrail.stream.detections.role_explosion import RoleFigures, excesses
from keytrail.stream.errors import StateFormError
from keytrail.stream.policies.policy import ExplosionLimits, Policy
from keytrail.stream.stages.store import KeepsState, StateStore

FORM = 1  # of the packed states
_HELD_BY = "by:"  # before the sum of holders' digests, which so is no digest of permissions
_MARKS = 1 << 64
_DAYS_KEPT = 400  # before the latest one; so long are new roles told of
_WHAT = {
    "new": "were made within days",
    "one holder": "have one holder each",
    "nobody": "are held by nobody any more",
    "identical": "give the same as another",
    "same holders": "are held by the very holders of another",
}


@dataclass
class KnownRole:
    """One role of one team.  `permissions` is the digest of its latest grant, which was at `since`.

    `marks` is the sum of the holders' digests, of as many as `marked` says: of those that were told before
    there were digests it is not known who they are.
    """

    holders: int = 0
    permissions: str = ""
    since: int = 0
    first_day: int = 1 << 62
    marks: int = 0
    marked: int = 0

    def likenesses(self) -> Iterator[str]:
        """What is the same of roles that give the same, and of those that the same several hold."""
        if self.holders and self.permissions:
            yield self.permissions
        if self.holders > 1 and self.marked == self.holders:
            yield f"{_HELD_BY}{self.marks:016x}"


@dataclass
class TeamRoles:
    """Figures of one team's roles.  `new_by_day` counts roles by the day of their first grant.

    `latest_at` and `latest_id` are the latest event that was counted: findings name it, whichever came last.
    """

    roles: int = 0
    one_holder: int = 0
    nobody: int = 0
    identical: int = 0
    latest_day: int = 0
    first_day: int = 1 << 62
    new_by_day: dict[int, int] = field(default_factory=dict)
    excesses: list[str] = field(default_factory=list)
    latest_at: int = 0
    latest_id: str = ""
    same_holders: int = 0

    def figures(self, limits: ExplosionLimits) -> RoleFigures:
        counts = (self.one_holder, self.nobody, self.identical, self.same_holders)
        return RoleFigures(self.roles, self._new(limits), *counts)

    def _new(self, limits: ExplosionLimits) -> int:
        """The most that came within some `new_days`, once the team was settled."""
        settled = self.first_day + limits.settled_days + limits.new_days
        days = sorted(self.new_by_day)
        most = within = begin = 0
        for day in days:
            within += self.new_by_day[day]
            while days[begin] <= day - limits.new_days:
                within -= self.new_by_day[days[begin]]
                begin += 1
            if day >= settled:
                most = max(most, within)
        return most


class RoleCensus(KeepsState):
    """Of the teams of one partition of the signals topic.  Not thread-safe."""

    def __init__(self) -> None:
        self._teams: StateStore[TeamRoles] = StateStore("team-roles", _pack, _unpack_team)
        self._roles: StateStore[KnownRole] = StateStore("team-role", _pack, _unpack_role)
        self._alike: StateStore[int] = StateStore("alike-roles", _pack_count, _unpack_count)
        super().__init__(self._teams, self._roles, self._alike)

    def take(self, signal: Signal, policy: Policy) -> Iterator[Signal]:
        """What came and went in a team; what is to be said of it now, by the policy of those events."""
        name = signal.entity
        team = self._teams.get(name) or TeamRoles()
        team.latest_day = max(team.latest_day, signal.last_seen // DAY)
        seen = [(event.occurred_at, event.event_id) for event in signal.events]
        team.latest_at, team.latest_id = max([(team.latest_at, team.latest_id), *seen])
        for holding in signal.holdings:
            self._count(name, team, holding)
        self._forget_days(team)
        figures = team.figures(policy.explosion)
        found = excesses(figures, policy)
        for cause in sorted({*found, *team.excesses}):
            yield _verdict(signal, team, cause, found.get(cause, 0), figures)
        team.excesses = sorted(found)
        self._teams.put(name, team)

    def figures(self, team: str, policy: Policy) -> RoleFigures:
        """Of a team; all are 0 for one that is not known."""
        return (self._teams.peek(team) or TeamRoles()).figures(policy.explosion)

    def _count(self, team_name: str, team: TeamRoles, holding: RoleHolding) -> None:
        key = candidate_key(team_name, holding.role)
        known = self._roles.get(key)
        role = known or KnownRole()
        if known is not None:
            self._enter(team_name, team, role, -1)
        role.holders = max(0, role.holders + holding.change)
        if holding.holder:
            role.marked += holding.change
            role.marks = (role.marks + holding.change * int(holding.holder, 16)) % _MARKS
        if holding.change >= 0 and (holding.since, holding.permissions) > (role.since, role.permissions):
            role.since, role.permissions = holding.since, holding.permissions
        role.first_day = min(role.first_day, holding.first // DAY)
        self._enter(team_name, team, role, 1)
        self._roles.put(key, role)

    def _enter(self, team_name: str, team: TeamRoles, role: KnownRole, times: int) -> None:
        """Add the role to the figures, or (-1) take it out of them."""
        team.roles += times
        team.first_day = min(team.first_day, role.first_day)
        team.new_by_day[role.first_day] = team.new_by_day.get(role.first_day, 0) + times
        team.one_holder += times * (role.holders == 1)
        team.nobody += times * (role.holders == 0)
        for likeness in role.likenesses():
            more = self._enter_likeness(candidate_key(team_name, likeness), times)
            if likeness.startswith(_HELD_BY):
                team.same_holders += more
            else:
                team.identical += more

    def _enter_likeness(self, key: str, times: int) -> int:
        """How many more roles (or fewer) are like another with this one; one alone is like no other."""
        before = self._alike.get(key) or 0
        after = before + times
        if after:
            self._alike.put(key, after)
        else:
            self._alike.remove(key)
        return (after if after > 1 else 0) - (before if before > 1 else 0)

    @staticmethod
    def _forget_days(team: TeamRoles) -> None:
        since = team.latest_day - _DAYS_KEPT
        team.new_by_day = {day: n for day, n in team.new_by_day.items() if n and day > since}


def _verdict(about: Signal, of: TeamRoles, cause: str, count: int, figures: RoleFigures) -> Signal:
    team = about.entity
    return replace(
        about,
        cause=cause,
        holds=count > 0,
        count=count,
        events=[Occurrence(of.latest_at, of.latest_id)],
        last_seen=of.latest_at,
        summary=f"{count} of the {figures.roles} roles of {team} {_WHAT[cause]}.",
        remedy=f"Have {team} delete the roles that it does not need, and merge those that give the same.",
        details={
            "roles": str(figures.roles),
            "new": str(figures.new),
            "one_holder": str(figures.one_holder),
            "nobody": str(figures.nobody),
            "identical": str(figures.identical),
            "same_holders": str(figures.same_holders),
        },
        holdings=[],
    )


def _pack(state: TeamRoles | KnownRole) -> bytes:
    return json.dumps([FORM, *vars(state).values()], separators=(",", ":")).encode()


def _unpack_role(packed: bytes) -> KnownRole:
    return KnownRole(*_fields(packed))


def _unpack_team(packed: bytes) -> TeamRoles:
    team = TeamRoles(*_fields(packed))
    team.new_by_day = {int(day): count for day, count in team.new_by_day.items()}
    return team


def _pack_count(count: int) -> bytes:
    return json.dumps([FORM, count]).encode()


def _unpack_count(packed: bytes) -> int:
    [count] = _fields(packed)
    return int(count)


def _fields(packed: bytes) -> list[Any]:
    form, *rest = json.loads(packed)
    if form != FORM:
        raise StateFormError("role census", form)
    return list(rest)
