"""What holds for every simulated stream, whatever is in it."""

import gc
import hashlib
import itertools
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from statistics import median
from uuid import UUID

import pytest

from keytrail.producers.simulation import Simulation
from keytrail.producers.simulation.calendar import DAYS
from keytrail.schemas import avro
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event, Key

EVENT_SCHEMA = avro.parse(avro.schema_text("event"))
KEY_SCHEMA = avro.parse(avro.schema_text("key"))
DAY = 24 * 3600 * 1_000_000


def digest(simulation: Simulation) -> str:
    encode_event, encode_key = avro.encoder(EVENT_SCHEMA), avro.encoder(KEY_SCHEMA)
    hashed = hashlib.sha256()
    keys = simulation.keys()
    for key in keys:
        hashed.update(encode_key(key))
    for event in simulation.events():
        hashed.update(encode_event(event))
    hashed.update(repr(simulation.truth()).encode())
    return hashed.hexdigest()


def test_the_same_arguments_give_the_same_bytes() -> None:
    start = date(2025, 3, 3)
    assert digest(Simulation(3_000, 9, start)) == digest(Simulation(3_000, 9, start))


def test_events_can_be_had_twice() -> None:
    simulation = Simulation(3_000, 9)
    assert list(simulation.events()) == list(simulation.events())


@pytest.mark.parametrize(
    "other",
    [
        Simulation(3_000, 2),
        Simulation(3_001, 1),
        Simulation(3_000, 1, date(2026, 1, 6)),
        Simulation(3_000, 1, anomalies=False),
    ],
    ids=["seed", "number", "start", "anomalies"],
)
def test_other_arguments_give_other_events(other: Simulation) -> None:
    """Not one id is shared, so that simulations can be sent to one pipeline one after another."""
    ids = {event.event_id for event in Simulation(3_000, 1).events()}
    assert ids.isdisjoint(event.event_id for event in other.events())


@pytest.mark.parametrize("events", [3_000, 3_345, 12_001])
def test_there_are_exactly_as_many_events_as_asked_for(events: int) -> None:
    assert sum(1 for _ in Simulation(events, 1).events()) == events


def test_without_anomalies_fewer_will_do() -> None:
    for events in range(100, 2_000, 37):
        assert sum(1 for _ in Simulation(events, events, anomalies=False).events()) == events


@pytest.mark.parametrize(("events", "anomalies"), [(2_999, True), (99, False), (0, False), (-5, True)])
def test_too_few_events_are_refused(events: int, anomalies: bool) -> None:
    with pytest.raises(UsageError, match="too few"):
        Simulation(events, 1, anomalies=anomalies)


@pytest.mark.parametrize("year", [1969, 9500])
def test_a_start_out_of_reach_is_refused(year: int) -> None:
    with pytest.raises(UsageError, match=str(year)):
        Simulation(3_000, 1, date(year, 1, 1))


@pytest.mark.parametrize("start", [date(2024, 2, 29), date(2025, 10, 25), date(2023, 12, 31)])
def test_events_lie_in_the_period_and_come_in_order_but_for_seconds(start: date) -> None:
    begin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1_000_000
    latest = 0
    simulation = Simulation(8_000, 4, start)
    of_wrong_clocks = {label.entity for label in simulation.truth() if label.rule == "clock_skew"}
    for event in simulation.events():
        assert begin <= event.occurred_at < begin + DAYS * DAY
        assert event.occurred_at >= latest - 5_000_000
        recorded = event.occurred_at < event.recorded_at < event.occurred_at + 6_000_000
        assert recorded or event.service in of_wrong_clocks
        latest = max(latest, event.occurred_at)


def test_some_events_are_late() -> None:
    events = itertools.islice(Simulation(2_000_000, 4).events(), 20_000)
    times = [event.occurred_at for event in events]
    assert any(later < earlier for earlier, later in itertools.pairwise(times))


def test_every_record_survives_its_schema() -> None:
    simulation = Simulation(5_000, 6)
    encode, decode = avro.encoder(EVENT_SCHEMA), avro.decoder(Event, EVENT_SCHEMA, EVENT_SCHEMA)
    for event in simulation.events():
        assert decode(encode(event), 0) == event
    encode_key, decode_key = avro.encoder(KEY_SCHEMA), avro.decoder(Key, KEY_SCHEMA, KEY_SCHEMA)
    keys = simulation.keys()
    for key in keys:
        assert decode_key(encode_key(key), 0) == key


def test_ids_are_uuids_of_version_7_and_sequences_have_the_planned_holes_alone() -> None:
    ids = set()
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    simulation = Simulation(20_000, 2)
    planned = {label.entity for label in simulation.truth() if label.rule == "sequence_holes"}
    for event in simulation.events():
        found = UUID(event.event_id)
        assert found.version == 7
        assert found.int >> 80 == event.occurred_at // 1000
        ids.add(event.event_id)
        if event.service not in planned:
            sequences[event.producer_id].append(event.sequence)

    assert len(ids) == 20_000
    assert len(sequences) == 2
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values())


def test_memory_does_not_grow_with_the_events() -> None:
    events = Simulation(200_000, 1).events()

    def blocks_after(count: int | None) -> int:
        for _ in itertools.islice(events, count):
            pass
        gc.collect()
        return sys.getallocatedblocks()

    early = blocks_after(50_000)
    at_end = blocks_after(None)

    # An event that was kept would hold more than ten blocks.
    assert at_end - early < 150_000 * 10 / 100


def test_ordinary_people_hold_few_roles_and_use_most_of_them() -> None:
    simulation = Simulation(60_000, 8, anomalies=False)
    held: defaultdict[str, set[str]] = defaultdict(set)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    most: Counter[str] = Counter()
    last = 0
    for event in simulation.events():
        last = max(last, event.occurred_at)
        if event.outcome == "success" and event.role:
            if event.action == "grant":
                held[event.whose].add(event.role)
                most[event.whose] = max(most[event.whose], len(held[event.whose]))
            elif event.action == "revoke":
                held[event.whose].discard(event.role)
            elif event.action == "use":
                used[event.whose][event.role] = event.occurred_at

    counts = [len(roles) for roles in held.values() if roles]
    lately = [used[name].get(role, 0) > last - 90 * DAY for name, roles in held.items() for role in roles]
    assert 3 <= median(counts) <= 4
    assert max(most.values()) <= 6
    assert sum(lately) > 0.9 * len(lately)


def test_people_work_by_day_and_services_round_the_clock() -> None:
    by_hour: dict[str, Counter[bool]] = {"human": Counter(), "service": Counter()}
    for event in itertools.islice(Simulation(40_000, 3).events(), 2_000, None):
        moment = datetime.fromtimestamp(event.occurred_at / 1e6, UTC)
        is_office_time = moment.weekday() < 5 and 6 <= moment.hour < 17
        by_hour[event.actor_type][is_office_time] += 1

    assert by_hour["human"][True] > 9 * by_hour["human"][False]
    assert by_hour["service"][False] > by_hour["service"][True]


def test_traffic_has_a_believable_share_of_refusals_and_access_changes() -> None:
    events = list(Simulation(50_000, 3).events())
    outcomes = Counter(event.outcome for event in events)
    changes = sum(event.action in {"grant", "revoke"} for event in events)

    assert 0.01 < outcomes["denied"] / len(events) < 0.05
    assert 0.01 < outcomes["failure"] / len(events) < 0.05
    assert 0.03 < changes / len(events) < 0.15
    assert all(event.attributes["team"] for event in events)
    assert all(bool(event.error) == (event.outcome != "success") for event in events)


def test_keys_lead_to_each_other() -> None:
    keys = {key.key_id: key for key in Simulation(20_000, 3).keys()}  # noqa: SIM118

    assert any(key.break_glass for key in keys.values())
    assert any(key.parent_key for key in keys.values())
    assert {key.kind for key in keys.values()} == {"human", "service"}
    for key in keys.values():
        if key.successor is not None:
            assert keys[key.successor].predecessor == key.key_id
        if key.parent_key is not None:
            assert key.parent_key in keys
        assert (key.revoked_at is not None) == (key.status == "revoked")
        assert (key.suspended_at is not None) == (key.status == "suspended")
