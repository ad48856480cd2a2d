"""Roles by the dozen: made for one task each, for one person, or for the very same people."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, combinations, repeat

from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE
from keytrail.producers.simulation.company import Member, Team
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Micros

_MANY, _FEW = 32, 20
_A_DAY = 8
_SETTLED = 10  # days after the first anomalies, so that a team is known for a month
_PACE = 3  # days between two roles that stay


def a_role_for_each_task(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person, alone=True)
    events = _for_tasks(stage, member, _MANY, day)
    team = member.team.name
    stage.expect("role_explosion", "team", team, "new", events, "thirty-two roles within four days")
    stage.expect("role_explosion", "team", team, "nobody", events, "and nobody holds them any more")


def all_roles_for_one(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person, alone=True)
    begin = begin_of(day, _MANY * _PACE)
    events = [
        _grant(stage, member, role, stage.moment(begin + _PACE * number))
        for number, role in enumerate(_made_up(member.team, _MANY))
    ]
    team = member.team.name
    stage.expect("role_explosion", "team", team, "one holder", events, "thirty-two roles of one person")
    stage.expect("role_sprawl", "subject", member.name, team, events, "and that person holds too many")


def a_role_for_some_tasks(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person, alone=True)
    events = _for_tasks(stage, member, _FEW, day)
    stage.spare("role_explosion", "team", member.team.name, "new", events, "twenty roles are few enough")


def held_by_the_same_people(stage: Stage, day: int) -> None:
    team, events = _in_common(stage, day, 5, repeat(()))
    note = "thirty-two roles that the same five people hold"
    stage.expect("role_explosion", "team", team, "same holders", events, note)


def held_by_nearly_the_same_people(stage: Stage, day: int) -> None:
    """Each by three or more of six, no two by the same."""
    people = 6
    left_out = chain.from_iterable(combinations(range(people), count) for count in range(people // 2 + 1))
    team, events = _in_common(stage, day, people, left_out)
    note = "thirty-two roles, no two of them with the same holders"
    stage.spare("role_explosion", "team", team, "same holders", events, note)


def _in_common(
    stage: Stage, day: int, people: int, left_out: Iterable[tuple[int, ...]]
) -> tuple[str, list[Event]]:
    """A project's roles, granted within some days, each to all of its people but a few."""
    lead = newcomer(stage)
    project = lead.team.name
    members = [replace(lead, name=f"{project}-{number}") for number in range(1, people + 1)]
    first, events = stage.moment(begin_of(day, _MANY // _A_DAY)), []
    for number, (role, without) in enumerate(zip(_made_up(lead.team, _MANY), left_out, strict=False)):
        at = first + number // _A_DAY * DAY + number % _A_DAY * HOUR
        events += [
            stage.scribe.change(
                Micros(at + place * MINUTE),
                "grant",
                member,
                role=role,
                reason="role of the project",
                ticket=stage.scribe.ticket(),
            )
            for place, member in enumerate(members)
            if place not in without
        ]
    return project, events


def _for_tasks(stage: Stage, member: Member, count: int, day: int) -> list[Event]:
    """Roles that are granted for an hour each, some a day."""
    begin = begin_of(day, count // _A_DAY + _SETTLED) + _SETTLED
    first = stage.moment(begin)
    events = []
    for number, role in enumerate(_made_up(member.team, count)):
        at = Micros(first + number // _A_DAY * DAY + number % _A_DAY * HOUR)
        events += [
            _grant(stage, member, role, at),
            stage.scribe.change(Micros(at + HOUR // 2), "revoke", member, role=role, reason="task is done"),
        ]
    return events


def _grant(stage: Stage, member: Member, role: Role, at: Micros) -> Event:
    return stage.granted(member, role, at, reason="role of its own for a task")


def _made_up(team: Team, count: int) -> list[Role]:
    names = [f"{team.name}-task-{number}" for number in range(1, count + 1)]
    return [Role(name, [f"{name}.use"], f"{team.name}-api", ()) for name in names]
