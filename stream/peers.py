"""A team: how many roles its members hold, and who of them holds so many that it may be too many."""

import json
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


@dataclass
class Team:
    """`members_by_roles` counts the members who hold so many roles; those who hold none are left out."""

    members_by_roles: dict[int, int] = field(default_factory=dict)

    @property
    def members(self) -> int:
        return sum(self.members_by_roles.values())

    @property
    def median(self) -> float:
        """The median of roles held by members who hold any; 0.0 for an empty team."""
        members = self.members
        return (self._rank((members - 1) // 2) + self._rank(members // 2)) / 2 if members else 0.0

    def _rank(self, rank: int) -> int:
        """Roles held by the member of this rank, counted from 0 at the fewest."""
        passed = 0
        for roles in sorted(self.members_by_roles):
            passed += self.members_by_roles[roles]
            if rank < passed:
                return roles
        raise IndexError(rank)

    def count(self, profile: Profile) -> None:
        """A member's number of roles went from `previous_roles` to `roles`."""
        for roles, change in ((profile.previous_roles, -1), (profile.roles, 1)):
            if roles > 0:
                left = self.members_by_roles.get(roles, 0) + change
                if left > 0:
                    self.members_by_roles[roles] = left
                else:
                    self.members_by_roles.pop(roles, None)


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
