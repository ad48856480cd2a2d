"""Roles that give nothing new, and roles that only look so."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import WORKPLACE, Role, strangers
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros


def within_one_role(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    held = subject.roles[-1]
    _redundant(stage, subject, _part_of(held, "lite", held.permissions[:2]), day, f"{held.name} gives it all")


def within_two_roles(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    held = subject.roles[-1]
    role = _part_of(held, "starter", [held.permissions[0], WORKPLACE.permissions[0]])
    _redundant(stage, subject, role, day, f"{held.name} and {WORKPLACE.name} give it all")


def under_a_pattern(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    narrow = _role_of_others(stage, subject)
    suite = _part_of(narrow, "suite", [f"{_stem(narrow)}.*"])
    stage.tell(stage.granted(subject, suite, stage.moment(day - 4)))
    _redundant(stage, subject, narrow, day, f"{suite.permissions[0]} of {suite.name} covers it")


def overlapping(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    held = subject.roles[-1]
    role = _part_of(held, "plus", [*held.permissions[:2], f"{_stem(held)}.archive"])
    _spare(stage, subject, role, [stage.granted(subject, role, stage.moment(day))], "one permission is new")


def narrow_before_broad(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    broad = _role_of_others(stage, subject)
    narrow = _part_of(broad, "lite", broad.permissions[:2])
    at = stage.moment(day)
    events = [stage.granted(subject, narrow, at), stage.granted(subject, broad, stage.soon_after(at))]
    for role in (narrow, broad):
        _spare(stage, subject, role, events, "the narrow role came first and was needed then")


def cover_taken_back(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    broad = _role_of_others(stage, subject)
    narrow = _part_of(broad, "lite", broad.permissions[:2])
    at = stage.moment(day)
    stage.tell(
        stage.granted(subject, broad, Micros(at - 2 * DAY)), _revoke(stage, subject, broad, Micros(at - DAY))
    )
    _spare(
        stage, subject, narrow, [stage.granted(subject, narrow, at)], f"{broad.name} was taken back before"
    )


def unlisted(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    role = _part_of(subject.roles[-1], "extra", [])
    _spare(
        stage, subject, role, [stage.granted(subject, role, stage.moment(day))], "permissions are not stated"
    )


def _redundant(stage: Stage, subject: Member, role: Role, day: int, note: str) -> None:
    """Grants the role; every other one is taken back days later, which resolves the finding."""
    at = stage.moment(day)
    stage.expect(
        "redundant_grant", "subject", subject.name, role.name, [stage.granted(subject, role, at)], note
    )
    if stage.rng.random() < 0.5:
        stage.tell(_revoke(stage, subject, role, stage.moment(day + 2)))


def _spare(stage: Stage, subject: Member, role: Role, events: list[Event], note: str) -> None:
    stage.spare("redundant_grant", "subject", subject.name, role.name, events, note)


def _revoke(stage: Stage, subject: Member, role: Role, at: Micros) -> Event:
    return stage.scribe.change(at, "revoke", subject, role=role, reason="no longer needed")


def _part_of(role: Role, suffix: str, permissions: list[str]) -> Role:
    return Role(f"{role.name}-{suffix}", permissions, role.service, role.resources)


def _role_of_others(stage: Stage, subject: Member) -> Role:
    return next(strangers(subject.team.roles.daily, stage.catalogue, stage.rng))


def _stem(role: Role) -> str:
    """What all permissions of a catalogue role begin with."""
    return role.permissions[0].rsplit(".", 1)[0]
