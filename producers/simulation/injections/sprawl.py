"""Subjects that gather roles, and subjects that hold many for a good reason."""

from itertools import islice

from keytrail.producers.simulation.calendar import DAYS, HOUR, MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import Role, strangers
from keytrail.producers.simulation.stage import LAST_DAY, Stage, begin_of
from keytrail.schemas.records import Event, Micros

# Nine days apart, at most four roles fall into any thirty days, weekends included.
_SLOW_DAYS = 9
_ROUND_DAYS = 30


def slow_and_unused(stage: Stage, day: int) -> None:
    subject = _lone_person(stage)
    events = _gather(stage, subject, 12, day, pace=_SLOW_DAYS)
    _expect(stage, subject, events, "gathers roles over months and uses none of them")


def fast_and_used(stage: Stage, day: int) -> None:
    subject = _lone_person(stage)
    events = _gather(stage, subject, 12, day, pace=1, uses=True)
    _expect(stage, subject, events, "gathers roles within days")


def used_once_long_ago(stage: Stage, day: int) -> None:
    """Each role served once, in the first months; `day` does not matter, since ninety more must pass."""
    subject = _lone_person(stage)
    begin = stage.rng.randint(7, 13)
    extra = _strange_roles(stage, subject, 10)
    events = _grants(stage, subject, extra, begin, _SLOW_DAYS, uses=True)
    events.append(stage.scribe.use(stage.moment(max(day, LAST_DAY - 20)), subject))
    _expect(stage, subject, events, "gathered roles for one use each and kept them")


def in_a_small_team(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.in_small_team)
    events = _gather(stage, subject, 17, day, pace=3)
    _expect(stage, subject, events, "seventeen roles in a team too small to say what is usual")


def seven_roles(stage: Stage, day: int) -> None:
    subject = _lone_person(stage)
    _spare(stage, subject, _gather(stage, subject, 7, day, pace=1), "seven roles are few enough")


def slow_and_used(stage: Stage, day: int) -> None:
    """Many roles, gathered over months, all of them used."""
    subject = _lone_person(stage)
    total = 10
    extra = _strange_roles(stage, subject, total)
    begin = begin_of(day, len(extra) * _SLOW_DAYS)
    events = _grants(stage, subject, extra, begin, _SLOW_DAYS, uses=True)
    held = list(subject.roles)
    for round_day in range(begin - 2, DAYS - 4, _ROUND_DAYS):
        known = len(subject.roles) + max(0, (round_day - begin) // _SLOW_DAYS)
        at = stage.moment(round_day)
        for step, role in enumerate([*held, *extra][:known]):
            stage.tell(stage.scribe.use(Micros(at + step * MINUTE), subject, role=role))
    _spare(stage, subject, events, "ten roles, slowly gathered and all in use")


def below_the_peers(stage: Stage, day: int) -> None:
    """Nine roles, five of them granted within days, in a team whose members all hold five."""
    subject = stage.claim(candidates.in_broad_team)
    again = subject.roles[-1]
    events = _gather(stage, subject, 9, day, pace=1)
    at = Micros(events[-1].occurred_at + HOUR)
    events += [
        stage.scribe.change(at, "revoke", subject, role=again, reason="yearly review"),
        stage.granted(subject, again, stage.soon_after(at)),
    ]
    _spare(stage, subject, events, "nine roles where five are usual")


def ten_in_a_small_team(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.in_small_team)
    events = _gather(stage, subject, 10, day, pace=2)
    _spare(stage, subject, events, "ten roles in a team too small to say what is usual")


def _lone_person(stage: Stage) -> Member:
    """One a team: several who hold many roles would make that usual."""
    return stage.claim(candidates.person, alone=True)


def _gather(
    stage: Stage, subject: Member, total: int, day: int, *, pace: int, uses: bool = False
) -> list[Event]:
    """Grants other teams' roles until the subject holds `total`, one in `pace` days."""
    extra = _strange_roles(stage, subject, total)
    return _grants(stage, subject, extra, begin_of(day, len(extra) * pace), pace, uses=uses)


def _grants(
    stage: Stage, subject: Member, roles: list[Role], begin: int, pace: int, *, uses: bool
) -> list[Event]:
    events: list[Event] = []
    for number, role in enumerate(roles):
        at = stage.moment(begin + number * pace)
        if events and at <= events[-1].occurred_at + 10 * MINUTE:
            # Two days that a weekend moved onto the same Monday.
            at = Micros(events[-1].occurred_at + 10 * MINUTE)
        events.append(stage.granted(subject, role, at))
        if uses:
            stage.tell(stage.scribe.use(stage.soon_after(at), subject, role=role))
    return events


def _strange_roles(stage: Stage, subject: Member, total: int) -> list[Role]:
    found = strangers(subject.team.roles.daily, stage.catalogue, stage.rng)
    return list(islice(found, total - len(subject.roles)))


def _expect(stage: Stage, subject: Member, events: list[Event], note: str) -> None:
    stage.expect("role_sprawl", "subject", subject.name, subject.team.name, events, note)


def _spare(stage: Stage, subject: Member, events: list[Event], note: str) -> None:
    stage.spare("role_sprawl", "subject", subject.name, subject.team.name, events, note)
