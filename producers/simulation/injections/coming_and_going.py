"""Roles that come and go, too often or too fast to be seen."""

from keytrail.producers.simulation.calendar import HOUR, MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros


def thrice_in_an_hour(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = stage.rng.choice(member.team.roles.temporary)
    events = _spells(stage, member, role, stage.moment(day), times=3, held=5 * MINUTE, every=20 * MINUTE)
    stage.expect("flapping", "subject", member.name, role.name, events, "thrice within an hour")


def privileged_for_minutes(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = member.team.roles.privileged
    events = _spells(stage, member, role, stage.moment(day), times=1, held=4 * MINUTE, every=HOUR)
    stage.expect("flapping", "subject", member.name, role.name, events, "privileged for four minutes")


def twice_in_an_hour(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = stage.rng.choice(member.team.roles.temporary)
    events = _spells(stage, member, role, stage.moment(day), times=2, held=5 * MINUTE, every=20 * MINUTE)
    stage.spare("flapping", "subject", member.name, role.name, events, "twice is few enough")


def thrice_in_a_day(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = stage.rng.choice(member.team.roles.temporary)
    events = _spells(stage, member, role, stage.moment(day), times=3, held=HOUR, every=3 * HOUR)
    stage.spare("flapping", "subject", member.name, role.name, events, "hours apart")


def privileged_for_half_an_hour(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = member.team.roles.privileged
    events = _spells(stage, member, role, stage.moment(day), times=2, held=30 * MINUTE, every=HOUR)
    stage.spare("flapping", "subject", member.name, role.name, events, "privileged for half an hour")


def _spells(
    stage: Stage, member: Member, role: Role, at: Micros, *, times: int, held: int, every: int
) -> list[Event]:
    """Grant, use and revoke of the role, so many times."""
    approver = stage.company.approver_for(member).name
    changes = []
    for number in range(times):
        begin = Micros(at + number * every)
        reason, ticket = stage.scribe.reason(), stage.scribe.ticket()
        changes += [
            stage.scribe.change(
                begin, "grant", member, role=role, reason=reason, ticket=ticket, approved_by=approver
            ),
            stage.scribe.change(
                Micros(begin + held), "revoke", member, role=role, reason=reason, ticket=ticket
            ),
        ]
        stage.tell(stage.scribe.use(Micros(begin + held // 2), member, role=role))
    return changes
