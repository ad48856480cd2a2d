"""Founding the company: as large as the number of events asks for, and otherwise left to chance."""

from dataclasses import dataclass
from math import isqrt
from random import Random

from keytrail.producers.simulation import words
from keytrail.producers.simulation.calendar import DAY, SCOPE_HOURS, Calendar
from keytrail.producers.simulation.company import ENVIRONMENTS, Company, Member, Team, TeamKind
from keytrail.producers.simulation.ids import hex_digits
from keytrail.producers.simulation.keys import KeyRing, Scope
from keytrail.producers.simulation.roles import WORKPLACE, Role, team_roles
from keytrail.schemas.records import Micros

_MOST_PEOPLE = 4_000
_WITH_ODD_TEAMS = 60
_OFFICES = ("10.20.0.0/16", "10.21.0.0/16", "10.22.0.0/16")
_VPN = "10.64.0.0/16"
_CLUSTER = "10.128.0.0/12"
_SERVICE_ACTIONS = ("use", "create", "update")
_CONTRACTOR_ACTIONS = ("login", "use", "create", "update", "delete")
_IDENTITY_ACTIONS = (
    "grant",
    "revoke",
    "create",
    "delete",
    "issue_key",
    "rotate_key",
    "revoke_key",
    "suspend_key",
)


@dataclass(frozen=True)
class Size:
    people: int
    services: int
    small_teams: int
    broad_teams: int


def size_for(events: int) -> Size:
    """A company that grows with the square root of the events, and stops growing at a few thousand."""
    people = max(6, min(_MOST_PEOPLE, 150 + isqrt(events) * 13 // 10, events // 9))
    if people < _WITH_ODD_TEAMS:
        return Size(people, people // 4 + 1, 0, 0)
    return Size(people, people // 4, max(2, people // 80), max(1, people // 200))


class Founding:
    """Builds one company; its keys go to the ring."""

    def __init__(self, size: Size, ring: KeyRing, calendar: Calendar, rng: Random) -> None:
        self._size = size
        self._ring = ring
        self._calendar = calendar
        self._rng = rng
        self._members: list[Member] = []
        self._leads: dict[str, Member] = {}

    def found(self) -> Company:
        teams = self._teams()
        names = iter(self._rng.sample(_PEOPLE_NAMES, self._size.people))
        for team, heads in teams:
            for place in range(heads):
                self._hire(next(names), team, is_lead=place == 0)
        ordinary = [team for team, _ in teams if team.kind == "ordinary"]
        for number in range(self._size.services):
            self._install(number, ordinary[number % len(ordinary)])
        for team in ordinary[:3]:
            self._seal_break_glass(self._leads[team.name])
        every = tuple(team for team, _ in teams)
        return Company(every, tuple(self._members), self._identity(), self._leads)

    def _teams(self) -> list[tuple[Team, int]]:
        """The teams with their numbers of people, which add up."""
        kinds: list[tuple[TeamKind, int]] = []
        kinds += [("small", self._rng.choice((3, 4))) for _ in range(self._size.small_teams)]
        kinds += [("broad", self._rng.randint(8, 10)) for _ in range(self._size.broad_teams)]
        left = self._size.people - sum(heads for _, heads in kinds)
        while left > 0:
            heads = self._rng.randint(7, 16)
            heads = left if left - heads < 7 else heads
            kinds.append(("ordinary", heads))
            left -= heads
        places = self._rng.sample(_TEAM_NAMES, len(kinds))
        return [
            (Team(name, kind, team_roles(name, self._rng)), heads)
            for name, (kind, heads) in zip(places, kinds, strict=True)
        ]

    def _hire(self, name: str, team: Team, *, is_lead: bool) -> None:
        rng = self._rng
        is_contractor = not is_lead and team.kind == "ordinary" and rng.random() < 0.12
        office = rng.choice(_OFFICES)
        environments = ENVIRONMENTS if is_lead else rng.choice(_PEOPLE_ENVIRONMENTS)
        scope = Scope(
            actions=_CONTRACTOR_ACTIONS if is_contractor else (),
            resources=(f"{team.name}/*", "workplace/*") if is_contractor else (),
            environments=environments,
            networks=(office, _VPN),
            hours=SCOPE_HOURS if is_contractor else None,
        )
        member = Member(
            number=len(self._members),
            name=name,
            team=team,
            roles=self._human_roles(team, is_lead),
            key_id=self._first_key(name, "human", team.name, scope),
            environments=environments,
            addresses=tuple(self._address(network) for network in (office, office, _VPN)),
            agent=rng.choice(words.BROWSERS),
            is_human=True,
            is_lead=is_lead,
            is_contractor=is_contractor,
        )
        self._members.append(member)
        if is_lead:
            self._leads[team.name] = member

    def _human_roles(self, team: Team, is_lead: bool) -> tuple[Role, ...]:
        if team.kind == "broad":
            return (WORKPLACE, *self._rng.sample(team.roles.daily, 4))
        own = self._rng.sample(team.roles.daily, self._rng.choice((1, 2, 2, 2, 3)))
        return (WORKPLACE, *own, team.roles.privileged) if is_lead else (WORKPLACE, *own)

    def _install(self, number: int, team: Team) -> None:
        """A service of the team; two thirds have keys that are scoped to the team's roles and resources."""
        rng = self._rng
        name = f"{team.name}-{rng.choice(words.SERVICE_KINDS)}-{number + 1}"
        environments = rng.choice((("production",), ("production",), ("production", "staging")))
        is_tight = number % 3 > 0
        scope = Scope(
            actions=_SERVICE_ACTIONS,
            roles=(f"{team.name}-*",) if is_tight else (),
            resources=(f"{team.name}/*",) if is_tight else (),
            environments=environments,
            networks=(_CLUSTER,),
        )
        key_id = self._first_key(name, "service", team.name, scope)
        self._ring.add_alias(key_id, f"sha256:{hex_digits(rng, 64)}")
        self._members.append(
            Member(
                number=len(self._members),
                name=name,
                team=team,
                roles=tuple(rng.sample(team.roles.daily, rng.choice((2, 3, 3)))),
                key_id=key_id,
                environments=environments,
                addresses=tuple(self._address(_CLUSTER) for _ in range(4)),
                agent=rng.choice(words.CLIENTS),
                is_human=False,
            )
        )

    def _identity(self) -> Member:
        team = Team("identity", "small", team_roles("identity", self._rng))
        scope = Scope(_IDENTITY_ACTIONS, environments=ENVIRONMENTS, networks=(_CLUSTER,))
        return Member(
            number=-1,
            name="identity-provisioner",
            team=team,
            roles=(),
            key_id=self._first_key("identity-provisioner", "service", team.name, scope),
            environments=("production",),
            addresses=(self._address(_CLUSTER),),
            agent=words.CLIENTS[0],
            is_human=False,
        )

    def _seal_break_glass(self, lead: Member) -> None:
        """A key for emergencies, which lies unused."""
        self._ring.issue(
            lead.name,
            "human",
            lead.team.name,
            self._some_time_before(),
            Scope(),
            reason="emergency access, kept in the safe",
            by="security-office",
            break_glass=True,
        )

    def _first_key(self, owner: str, kind: str, team: str, scope: Scope) -> str:
        at = self._some_time_before()
        key = self._ring.issue(owner, kind, team, at, scope, reason="first key", by="security-office")
        return key.key_id

    def _some_time_before(self) -> Micros:
        return Micros(self._calendar.begin - self._rng.randint(30, 700) * DAY)

    def _address(self, network: str) -> str:
        """An address of a /16, or of the first sixteenth of a /12."""
        prefix = network.split(".0.0/")[0]
        return f"{prefix}.{self._rng.randint(0, 255)}.{self._rng.randint(1, 254)}"


_PEOPLE_NAMES = [f"{first}.{last}" for first in words.FIRST_NAMES for last in words.SURNAMES]
_TEAM_NAMES = [f"{domain}-{area}" for domain in words.DOMAINS for area in words.AREAS]
_PEOPLE_ENVIRONMENTS = (("production", "staging"), ("staging", "development"), ENVIRONMENTS)
