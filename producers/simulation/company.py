"""The company: its teams, and the people and services that belong to them.  Values only."""

from dataclasses import dataclass, field
from typing import Literal

from keytrail.producers.simulation.roles import Role, TeamRoles
from keytrail.schemas.records import Micros

# small: too few members to say what is usual.  broad: every member holds five roles.
TeamKind = Literal["ordinary", "small", "broad"]

ENVIRONMENTS = ("production", "staging", "development")


@dataclass(frozen=True)
class Team:
    """`attributes` go with every event about a member; all those events share them unchanged."""

    name: str
    kind: TeamKind
    roles: TeamRoles

    attributes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", {"team": self.name})


@dataclass(frozen=True)
class Member:
    """A person or a service as hired.  `key_id` is its first key, `roles` its first roles.

    `addresses` lie in the networks of its keys and `environments` are those its keys are for.
    `number` is its place in the company's members.
    """

    number: int
    name: str
    team: Team
    roles: tuple[Role, ...]
    key_id: str
    environments: tuple[str, ...]
    addresses: tuple[str, ...]
    agent: str
    is_human: bool
    is_lead: bool = False
    is_contractor: bool = False

    @property
    def type(self) -> str:
        return "human" if self.is_human else "service"


@dataclass(frozen=True)
class Company:
    """`identity` is the service that carries out access changes; it is none of `members`."""

    teams: tuple[Team, ...]
    members: tuple[Member, ...]
    identity: Member
    leads: dict[str, Member]

    def approver_for(self, member: Member, team: Team | None = None) -> Member:
        """The lead of the member's team, or for a lead that of the next team."""
        of = team or member.team
        if not member.is_lead:
            return self.leads[of.name]
        place = next(i for i, each in enumerate(self.teams) if each is of)
        return self.leads[self.teams[(place + 1) % len(self.teams)].name]


@dataclass(frozen=True)
class Posture:
    """What a member is between two changes: its team, the roles it works with, its key.

    `until` is the end of it; `may_borrow`: temporary roles may be lent to it.  Who is not present
    does nothing.
    """

    member: Member
    team: Team
    roles: tuple[Role, ...]
    key_id: str
    key_alias: str | None
    until: Micros
    may_borrow: bool
    is_present: bool = True
