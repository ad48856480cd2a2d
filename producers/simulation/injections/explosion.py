"""Roles by the dozen: made for one task each, or for one person."""

from keytrail.producers.simulation.calendar import DAY, HOUR
from keytrail.producers.simulation.company import Member, Team
from keytrail.producers.simulation.injections import candidates
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
    return stage.scribe.change(
        at,
        "grant",
        member,
        role=role,
        reason="role of its own for a task",
        ticket=stage.scribe.ticket(),
        approved_by=stage.company.approver_for(member).name,
    )


def _made_up(team: Team, count: int) -> list[Role]:
    names = [f"{team.name}-task-{number}" for number in range(1, count + 1)]
    return [Role(name, [f"{name}.use"], f"{team.name}-api", ()) for name in names]
