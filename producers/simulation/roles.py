"""Roles: what each permits and where it is used.  No two of the catalogue share a permission."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from keytrail.producers.simulation import words

_RESOURCES_A_ROLE = 8


@dataclass(frozen=True)
class Role:
    """`permissions` is a list because events carry one; all events of a role share it unchanged."""

    name: str
    permissions: list[str]
    service: str
    resources: tuple[str, ...]


@dataclass(frozen=True)
class TeamRoles:
    """A team's roles: its daily ones, those lent for hours, the one on call and the privileged one."""

    daily: tuple[Role, ...]
    temporary: tuple[Role, ...]
    on_call: Role
    privileged: Role


# Everybody who works here holds it.
WORKPLACE = Role(
    "workplace-member",
    ["workplace.mail.use", "workplace.calendar.use", "workplace.wiki.read"],
    "workplace",
    ("workplace/mail", "workplace/calendar", "workplace/wiki"),
)


def team_roles(team: str, rng: Random) -> TeamRoles:
    """The roles of one team; every permission begins with the team's name and a noun of that role alone."""
    nouns = rng.sample(words.NOUNS, 10)
    daily = tuple(role_on(team, noun, rng.choice(words.ROLE_KINDS), rng) for noun in nouns[:5])
    temporary = tuple(role_on(team, noun, "helper", rng) for noun in nouns[5:8])
    return TeamRoles(
        daily,
        temporary,
        role_on(team, nouns[8], "oncall", rng),
        role_on(team, nouns[9], "admin", rng),
    )


def role_on(team: str, noun: str, kind: str, rng: Random) -> Role:
    verbs = words.VERBS[: rng.randint(3, len(words.VERBS))]
    return Role(
        f"{team}-{noun}-{kind}",
        [f"{team}.{noun}.{verb}" for verb in verbs],
        f"{team}-api",
        tuple(f"{team}/{noun}/{number}" for number in range(1, _RESOURCES_A_ROLE + 1)),
    )


def strangers(own: Sequence[Role], catalogue: Sequence[Role], rng: Random) -> Iterator[Role]:
    """Roles of other teams in a random order, none twice: what a wanderer gathers."""
    known = {role.name for role in own}
    for role in rng.sample(catalogue, len(catalogue)):
        if role.name not in known:
            yield role
