"""People who change teams, and what they take with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE, hour_of
from keytrail.producers.simulation.company import Member, Posture
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import WORKPLACE, Role
from keytrail.producers.simulation.stage import Shift, Stage, begin_of
from keytrail.schemas.records import Event, Micros

_SPAN = 25  # days from the move to the last event that matters


def keeps_everything(stage: Stage, day: int) -> None:
    move = _move(stage, day)
    _expect(stage, move, "nothing was taken back")


def keeps_one_role(stage: Stage, day: int) -> None:
    move = _move(stage, day, least_roles=3)
    stage.tell(*_revokes(stage, move, move.before.roles[2:], move.at))
    _expect(stage, move, "one role was forgotten")


def gives_back_in_time(stage: Stage, day: int) -> None:
    move = _move(stage, day)
    stage.tell(*_revokes(stage, move, move.before.roles, Micros(move.at + 10 * DAY)))
    _spare(stage, move, "given back after ten days")


def is_granted_anew(stage: Stage, day: int) -> None:
    move = _move(stage, day)
    own = [role for role in move.before.roles if role is not WORKPLACE]
    stage.tell(*(_grant(stage, move.after, role, Micros(move.at + 3 * DAY)) for role in own))
    _spare(stage, move, "granted anew by the new team")


@dataclass(frozen=True)
class _Move:
    """Who it was and who it is; `events` are the first grant in the new team, and a use weeks later."""

    before: Member
    after: Member
    at: Micros
    events: list[Event]


def _move(stage: Stage, day: int, least_roles: int = 2) -> _Move:
    before = stage.claim(lambda one: candidates.person(one) and len(one.roles) >= least_roles)
    teams = [each for each in stage.company.teams if each.kind == "ordinary" and each is not before.team]
    team = stage.rng.choice(teams)
    at = stage.moment(begin_of(day, _SPAN))
    after = replace(before, team=team, roles=(WORKPLACE, stage.rng.choice(team.roles.daily)))
    stage.retire(before, at)
    usual = Posture(after, team, after.roles, after.key_id, None, stage.calendar.end, False)
    hour = hour_of(at, stage.calendar.begin)
    stage.plan.shifts.append(Shift(Micros(hour + HOUR), before.number, usual))
    events = [
        _grant(stage, after, after.roles[-1], at),
        stage.scribe.use(Micros(at + 21 * DAY), after),
    ]
    return _Move(before, after, at, events)


def _grant(stage: Stage, member: Member, role: Role, at: Micros) -> Event:
    return stage.granted(member, role, at, reason=f"moves to {member.team.name}")


def _revokes(stage: Stage, move: _Move, roles: Sequence[Role], at: Micros) -> list[Event]:
    reason = f"moves to {move.after.team.name}"
    return [
        stage.scribe.change(Micros(at + step * MINUTE), "revoke", move.after, role=role, reason=reason)
        for step, role in enumerate(roles, 1)
        if role is not WORKPLACE
    ]


def _expect(stage: Stage, move: _Move, note: str) -> None:
    before = move.before
    stage.expect("mover_keeps_roles", "subject", before.name, before.team.name, move.events, note)


def _spare(stage: Stage, move: _Move, note: str) -> None:
    before = move.before
    stage.spare("mover_keeps_roles", "subject", before.name, before.team.name, move.events, note)
