"""Keys that are used at two places."""

from collections.abc import Sequence
from dataclasses import replace

from keytrail.producers.simulation.calendar import MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros

_BERLIN, _POTSDAM, _TOKYO, _NEW_YORK = "52.52,13.40", "52.39,13.06", "35.68,139.69", "40.71,-74.01"
_SOON, _A_FLIGHT = 50, 15 * 60  # minutes


def there_and_elsewhere(stage: Stage, day: int) -> None:
    _expect(stage, day, (_BERLIN, _TOKYO), (0, _SOON), "Berlin, and within the hour Tokyo")


def refused_elsewhere(stage: Stage, day: int) -> None:
    _expect(stage, day, (_NEW_YORK, _BERLIN), (0, 5 * 60), "a ride of five hours across the ocean", "denied")


def on_a_flight(stage: Stage, day: int) -> None:
    key, actor, events = _uses(stage, day, newcomer(stage), (_BERLIN, _TOKYO), (0, _A_FLIGHT))
    _spare(stage, key, actor, events, "fifteen hours are enough")


def in_the_next_town(stage: Stage, day: int) -> None:
    key, actor, events = _uses(stage, day, newcomer(stage), (_BERLIN, _POTSDAM), (0, 1))
    _spare(stage, key, actor, events, "a place nearby, or an address that is placed badly")


def a_service_in_two_regions(stage: Stage, day: int) -> None:
    service = newcomer(stage, candidates.service)
    key, actor, events = _uses(stage, day, service, (_BERLIN, _TOKYO), (0, 1))
    _spare(stage, key, actor, events, "a service may run at two places")


def two_people_at_two_places(stage: Stage, day: int) -> None:
    key, actor, [first, second] = _uses(stage, day, newcomer(stage), (_BERLIN, _TOKYO), (0, _SOON))
    second = replace(second, actor_id=f"{actor}-colleague")
    _spare(stage, key, actor, [first, second], "each of them at one place")


def _uses(
    stage: Stage,
    day: int,
    member: Member,
    places: Sequence[str],
    minutes: Sequence[int],
    outcome: str = "success",
) -> tuple[Key, str, list[Event]]:
    key = stage.further_key(member, "for the new project")
    begin, address = stage.moment(day), member.addresses[0]
    events = []
    for place, minute in zip(places, minutes, strict=True):
        at = Micros(begin + minute * MINUTE)
        use = stage.scribe.use(at, member, key_id=key.key_id, source_ip=address, outcome=outcome)
        events.append(replace(use, attributes={**use.attributes, "location": place}))
    return key, member.name, events


def _expect(
    stage: Stage, day: int, places: Sequence[str], minutes: Sequence[int], note: str, outcome: str = "success"
) -> None:
    key, actor, events = _uses(stage, day, newcomer(stage), places, minutes, outcome)
    stage.expect("impossible_travel", "key", key.key_id, actor, events, note)


def _spare(stage: Stage, key: Key, actor: str, events: list[Event], note: str) -> None:
    stage.spare("impossible_travel", "key", key.key_id, actor, events, note)
