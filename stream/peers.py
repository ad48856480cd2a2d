"""A team: how many roles its members hold, and who of them holds so many that it may be too many."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from keytrail.schemas.records import Occurrence, Profile, Signal


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
    candidates: dict[str, Candidate] = field(default_factory=dict)

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

    def watch(self, signal: Signal, profile: Profile, least_roles: int) -> None:
        """Keep the member among the candidates, or drop it where it holds too few and was not found out."""
        known = self.candidates.get(signal.entity)
        if profile.roles >= least_roles or (known is not None and known.sprawls):
            self.candidates[signal.entity] = Candidate(profile, signal, known is not None and known.sprawls)
        else:
            self.candidates.pop(signal.entity, None)

    def judged(self) -> Iterator[Candidate]:
        """The candidates in a fixed order."""
        for name in sorted(self.candidates):
            yield self.candidates[name]


def pack(team: Team) -> bytes:
    """The team as stored; see `unpack`."""
    return json.dumps(asdict(team), separators=(",", ":")).encode()


def unpack(packed: bytes) -> Team:
    fields = json.loads(packed)
    return Team(
        {int(roles): members for roles, members in fields["members_by_roles"].items()},
        {name: _candidate(found) for name, found in fields["candidates"].items()},
    )


def _candidate(fields: dict[str, dict[str, object]]) -> Candidate:
    signal = dict(fields["signal"])
    profile = Profile(**fields["profile"])  # type: ignore[arg-type]
    signal["events"] = [Occurrence(**event) for event in signal["events"]]  # type: ignore[attr-defined]
    signal["profile"] = profile
    return Candidate(profile, Signal(**signal), bool(fields["sprawls"]))  # type: ignore[arg-type]
