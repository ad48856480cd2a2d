"""From records to events: what comes through, and why the rest does not."""

import io
import json

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import DAY, EVENT_ID, NOON, FixedRegistry, World, event, records, value_of

from keytrail.schemas import avro, wire
from keytrail.stream.reading.reading import (
    AHEAD,
    MAX_VALUE_BYTES,
    EventReader,
    Readable,
    Unreadable,
    enriched_schema,
)
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot


def reader() -> EventReader:
    return EventReader(FixedRegistry(), lambda: NOON, Slot())  # type: ignore[arg-type]


GOOD = value_of(event())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "bad_magic"),
        (b"\x00\x00\x00", "bad_magic"),
        (b"\x01" + GOOD[1:], "bad_magic"),
        (b'{"action": "grant"}', "bad_magic"),
        (wire.frame(4_000_000_000) + GOOD[5:], "unknown_schema"),
        (GOOD[:-1], "torn_datum"),
        (GOOD[:20], "torn_datum"),
        (GOOD[:5], "torn_datum"),
        (GOOD + b"\x00", "torn_datum"),
        (GOOD[:5] + b"\xff" * 40, "torn_datum"),
        (GOOD.replace(b"alice", b"ali\xffe"), "bad_text"),
        (bytes(MAX_VALUE_BYTES + 1), "over_size"),
        (value_of(event(event_id="1")), "invalid_event"),
        (value_of(event(occurred_at=0)), "absurd_time"),
        (value_of(event(occurred_at=NOON + AHEAD + 1)), "absurd_time"),
        (value_of(event(occurred_at=-(2**63))), "absurd_time"),
    ],
    ids=[
        "tombstone",
        "empty",
        "short frame",
        "other magic",
        "JSON",
        "unregistered schema",
        "last byte cut off",
        "cut after 20 bytes",
        "frame alone",
        "a byte too many",
        "endless varint",
        "no UTF-8",
        "too large",
        "an id that is none",
        "time zero",
        "far in the future",
        "before all time",
    ],
)
def test_a_record_that_is_no_event_names_its_reason_and_remedy(value: bytes | None, reason: str) -> None:
    found = reader().read(Record(7, value))
    assert isinstance(found, Unreadable)
    assert found.reason == reason
    assert found.detail
    assert found.remedy
    assert "alice" not in found.detail, "details never show what the record holds"


@given(st.binary(max_size=400))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    for value in (data, wire.frame(EVENT_ID) + data):
        assert isinstance(reader().read(Record(0, value)), Readable | Unreadable)


@given(st.integers(5, len(GOOD) - 1), st.binary(min_size=1, max_size=4))
def test_no_damage_to_a_good_datum_raises(at: int, damage: bytes) -> None:
    damaged = GOOD[:at] + damage + GOOD[at + len(damage) :]
    assert isinstance(reader().read(Record(0, damaged)), Readable | Unreadable)


def test_a_bad_record_does_not_hold_up_those_beside_it() -> None:
    world = World()
    good = records([event(), event()])
    output = world.send_records([good[0], Record(1, b"torn", b"k", 5, [("trace", b"\x00")]), good[1]])
    assert len(output.enriched) == 2
    [letter] = output.dead
    assert (letter.source_offset, letter.key, letter.value, letter.source_timestamp) == (
        1,
        b"k",
        b"torn",
        5000,
    )
    assert [(h.name, h.value) for h in letter.headers] == [("trace", b"\x00")]


def test_the_same_event_twice_counts_once() -> None:
    world = World()
    once = event(key_id="AKIA1")
    outputs = world.send(once, event(key_id="AKIA1"), once, batch=2)
    assert [len(o.enriched) for o in outputs] == [2, 0]
    assert outputs[1].duplicates == 1
    [anomaly] = world.current().values()
    assert anomaly.count == 2


def test_an_enriched_datum_reads_back_as_the_event_and_its_key() -> None:
    some = event(permissions=["a", "b"], attributes={"x": "ü\x00"}, expires_at=NOON + DAY)
    [output] = World().send(some)
    [(key, value)] = output.enriched
    schema = avro.parse(enriched_schema(avro.schema_text("event")))
    assert schema == avro.parse(avro.schema_text("enriched"))

    names = {f["name"] for f in json.loads(avro.schema_text("enriched"))["fields"]}
    decoded = fastavro.schemaless_reader(io.BytesIO(value[wire.HEADER_LENGTH :]), schema, None)
    assert isinstance(decoded, dict)
    assert set(decoded) == names
    assert {name: decoded[name] for name in vars(some)} == vars(some)
    assert decoded["key_status"] == "none"
    assert key == b"alice"


def test_an_event_of_a_later_schema_comes_through_with_its_own_fields() -> None:
    later = json.loads(avro.schema_text("event"))
    later["fields"].append({"name": "device", "type": ["null", "string"], "default": None})
    registry = FixedRegistry()
    registry.texts[9] = json.dumps(later)
    datum = avro.mapping_encoder(avro.parse(registry.texts[9]))({**vars(event()), "device": "laptop"})
    found = EventReader(registry, lambda: NOON, Slot()).read(Record(0, wire.frame(9) + datum))  # type: ignore[arg-type]
    assert isinstance(found, Readable)
    assert found.datum == datum
    enriched_text = registry.texts[wire.schema_id_of(found.enriched_frame) or 0]
    assert "device" in [f["name"] for f in json.loads(enriched_text)["fields"]]
