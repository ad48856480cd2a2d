"""Keys whose use departs from what it was, or from what such a key is for."""

from collections.abc import Iterable
from dataclasses import replace

from keytrail.producers.simulation.calendar import DAY, HOUR
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.keys import Scope
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros

_REST = 95  # days, longer than the rules bear
_SHORT_REST = 86
_USUAL = tuple(f"198.51.100.{last}" for last in (7, 8, 9))
_ELSEWHERE = "203.0.113.20"
# Days before another network, four apart, so that weekends do not make two of them one.
_WELL_KNOWN = (25, 21, 17, 13, 9, 5)
_YOUNG = (9, 5)
_ROUND_THE_CLOCK, _LONG_DAY = 22, 15


def after_a_rest(stage: Stage, day: int) -> None:
    member, key = _newcomer(stage)
    last = stage.moment(max(day, _REST + 4) - _REST)
    events = [_use(stage, member, key, last), _use(stage, member, key, Micros(last + _REST * DAY))]
    _expect(stage, "dormant_key_awakes", key, "", events, "unused for three months")


def long_after_its_issue(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    issued_at = stage.moment(max(day, _REST + 4) - _REST)
    key = stage.keys.issue(
        member.name,
        member.type,
        member.team.name,
        issued_at,
        Scope(),
        reason="for the new project",
        by="security-office",
    )
    event = _use(stage, member, key, Micros(issued_at + _REST * DAY))
    _expect(stage, "dormant_key_awakes", key, "", [event], "first used three months after it was issued")


def after_a_holiday(stage: Stage, day: int) -> None:
    member, key = _newcomer(stage)
    last = stage.moment(max(day, _SHORT_REST + 4) - _SHORT_REST)
    events = [_use(stage, member, key, last), _use(stage, member, key, Micros(last + _SHORT_REST * DAY))]
    _spare(stage, "dormant_key_awakes", key, "", events, "unused for less than three months")


def first_seen_late(stage: Stage, day: int) -> None:
    member, key = _newcomer(stage)
    event = _use(stage, member, key, stage.moment(day))
    _spare(stage, "dormant_key_awakes", key, "", [event], "issued before anybody took note of its use")


def from_elsewhere(stage: Stage, day: int) -> None:
    key, events = _from_networks(stage, day, _WELL_KNOWN, _ELSEWHERE)
    _expect(stage, "new_network", key, "203.0.113.0/24", events, "weeks in one network, then in another")


def young_key_from_elsewhere(stage: Stage, day: int) -> None:
    key, events = _from_networks(stage, day, _YOUNG, _ELSEWHERE)
    _spare(stage, "new_network", key, "203.0.113.0/24", events, "among its first networks")


def next_address(stage: Stage, day: int) -> None:
    key, events = _from_networks(stage, day, _WELL_KNOWN, "198.51.100.200")
    _spare(stage, "new_network", key, "198.51.100.0/24", events, "another address of the same network")


def within_its_scope(stage: Stage, day: int) -> None:
    scope = Scope(networks=("198.51.100.0/24", "203.0.113.0/24"))
    key, events = _from_networks(stage, day, _WELL_KNOWN, _ELSEWHERE, scope)
    _spare(stage, "new_network", key, "203.0.113.0/24", events, "a network that its scope names")


def in_many_hands(stage: Stage, day: int) -> None:
    key, events = _by_actors(stage, (day, day, day))
    _expect(stage, "shared_key", key, "", events, "three actors in a day")


def in_two_hands(stage: Stage, day: int) -> None:
    key, events = _by_actors(stage, (day, day))
    _spare(stage, "shared_key", key, "", events, "two actors in a day")


def handed_on(stage: Stage, day: int) -> None:
    key, events = _by_actors(stage, (day - 8, day - 4, day))
    _spare(stage, "shared_key", key, "", events, "three actors, one after the other")


def round_the_clock(stage: Stage, day: int) -> None:
    key, events = _by_the_hour(stage, day, newcomer(stage), _ROUND_THE_CLOCK)
    _expect(stage, "automation_cadence", key, "", events, "a person's key without a night")


def a_long_day(stage: Stage, day: int) -> None:
    key, events = _by_the_hour(stage, day, newcomer(stage), _LONG_DAY)
    _spare(stage, "automation_cadence", key, "", events, "a person's long day")


def service_round_the_clock(stage: Stage, day: int) -> None:
    key, events = _by_the_hour(stage, day, newcomer(stage, candidates.service), _ROUND_THE_CLOCK)
    _spare(stage, "automation_cadence", key, "", events, "a service works at night")


def _newcomer(stage: Stage) -> tuple[Member, Key]:
    member = newcomer(stage)
    return member, stage.further_key(member, "for the new project")


def _use(stage: Stage, member: Member, key: Key, at: Micros, source_ip: str | None = None) -> Event:
    return stage.scribe.use(at, member, key_id=key.key_id, source_ip=source_ip or _USUAL[0])


def _from_networks(
    stage: Stage, day: int, before: Iterable[int], then: str, scope: Scope | None = None
) -> tuple[Key, list[Event]]:
    """Uses from the usual network so many days before, and one from the other."""
    member = newcomer(stage)
    key = stage.further_key(member, "for the new project", scope=scope)
    usual = [_use(stage, member, key, stage.moment(day - ago), stage.rng.choice(_USUAL)) for ago in before]
    return key, [*usual, _use(stage, member, key, stage.moment(day), then)]


def _by_actors(stage: Stage, days: Iterable[int]) -> tuple[Key, list[Event]]:
    """Each of several actors uses the key on one of these days."""
    member, key = _newcomer(stage)
    actors = [replace(member, name=f"{member.team.name}-{number}") for number, _ in enumerate(days)]
    return key, [_use(stage, actor, key, stage.moment(day)) for actor, day in zip(actors, days, strict=True)]


def _by_the_hour(stage: Stage, day: int, member: Member, hours: int) -> tuple[Key, list[Event]]:
    key = stage.further_key(member, "for the new project")
    begin = stage.calendar.at(day, 1, 30)
    return key, [_use(stage, member, key, Micros(begin + hour * HOUR)) for hour in range(hours)]


def _expect(stage: Stage, rule: str, key: Key, cause: str, events: list[Event], note: str) -> None:
    stage.expect(rule, "key", key.key_id, cause, events, note)


def _spare(stage: Stage, rule: str, key: Key, cause: str, events: list[Event], note: str) -> None:
    stage.spare(rule, "key", key.key_id, cause, events, note)
