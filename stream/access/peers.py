"""A team: how many roles its members hold, and who of them holds so many that it may be too many."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from keytrail.schemas.records import Occurrence, Profile, Signal
from keytrail.stream.errors import StateFormError

FORM = 1  # of the packed states


@dataclass
class Candidate:
    """A member with enough roles to be judged, and the latest signal about it."""

    profile: Profile
    signal: Signal
    sprawls: bool = False


@dataclass(frozen=True)
class Usual:
    """What is usual in a team: roles held by those of its members who hold any.

    `spread` is the median of their distances from the median.  All are 0 in an empty team.
    """

    members: int
    median: float
    spread: float


@dataclass
class Team:
    """`members_by_roles` counts the members who hold so many roles; those who hold none are left out."""

    members_by_roles: dict[int, int] = field(default_factory=dict)

    def usual(self) -> Usual:
        median = _median(self.members_by_roles)
        by_distance: dict[float, int] = {}
        for roles, members in self.members_by_roles.items():
            by_distance[abs(roles - median)] = by_distance.get(abs(roles - median), 0) + members
        return Usual(sum(self.members_by_roles.values()), median, _median(by_distance))

    def count(self, profile: Profile) -> None:
        """A member's number of roles went from `previous_roles` to `roles`."""
        for roles, change in ((profile.previous_roles, -1), (profile.roles, 1)):
            if roles > 0:
                left = self.members_by_roles.get(roles, 0) + change
                if left > 0:
                    self.members_by_roles[roles] = left
                else:
                    self.members_by_roles.pop(roles, None)


def _median(counts: Mapping[float, int] | Mapping[int, int]) -> float:
    """Of values that are there so often; 0.0 where there are none."""
    total = sum(counts.values())
    return (_ranked(counts, (total - 1) // 2) + _ranked(counts, total // 2)) / 2 if total else 0.0


def _ranked(counts: Mapping[float, int] | Mapping[int, int], rank: int) -> float:
    """The value of this rank, counted from 0 at the least."""
    passed = 0
    for value, times in sorted(counts.items()):
        passed += times
        if rank < passed:
            return value
    raise IndexError(rank)


def candidate_key(team: str, subject: str) -> str:
    """The state key of a member; the length keeps two names apart."""
    return f"{len(team)}:{team}{subject}"


def split_candidate_key(key: str) -> tuple[str, str]:
    """Team and subject of a state key."""
    length, _, names = key.partition(":")
    return names[: int(length)], names[int(length) :]


def pack_team(team: Team) -> bytes:
    """The team as stored; see `unpack_team`."""
    return json.dumps([FORM, team.members_by_roles], separators=(",", ":")).encode()


def unpack_team(packed: bytes) -> Team:
    form, members_by_roles = json.loads(packed)
    if form != FORM:
        raise StateFormError("team", form)
    return Team({int(roles): members for roles, members in members_by_roles.items()})


def pack_candidate(candidate: Candidate) -> bytes:
    """The candidate as stored; see `unpack_candidate`."""
    return json.dumps([FORM, asdict(candidate)], separators=(",", ":")).encode()


def unpack_candidate(packed: bytes) -> Candidate:
    form, fields = json.loads(packed)
    if form != FORM:
        raise StateFormError("candidate", form)
    signal, profile = fields["signal"], Profile(**fields["profile"])
    events = [Occurrence(**event) for event in signal["events"]]
    return Candidate(profile, Signal(**{**signal, "events": events, "profile": profile}), fields["sprawls"])
