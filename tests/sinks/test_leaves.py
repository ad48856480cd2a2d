"""Leaves: a record and its row give the same hash; the reader by columns gives what the plain one gives."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from sink_support import MONTH, NOON, Feed, Tables, event, running_sink

from keytrail.producers.ids import UuidV7
from keytrail.schemas import avro, wire
from keytrail.schemas.settings import Settings
from keytrail.sinks.proof.leaf import EXACT, NORMAL, Leaves, Record, head
from keytrail.sinks.proof.leaf_sql import LEAF_HASH, WITH
from keytrail.sinks.proof.merkle import leaf_hash

ENRICHED = avro.schema_text("enriched")
EVENT = avro.schema_text("event")
IDS = UuidV7()
SCHEMAS = {1: ENRICHED, 2: EVENT, 3: "no schema", 4: '"string"'}


class _Texts:
    def text_of(self, schema_id: int) -> str:
        return SCHEMAS[schema_id]


def _datum(text: str, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, avro.parse(text), record)
    return out.getvalue()


def _entry(value: bytes | None, offset: int = 7) -> bytes:
    [entry] = Leaves(_Texts()).entries(2, [Record(offset, value)])
    return entry


def test_a_datum_in_normal_form_is_hashed_as_it_came() -> None:
    datum = _datum(ENRICHED, event("iam", role="admin", attributes={"team": "a", "x": "y"}))
    assert _entry(wire.frame(1) + datum) == bytes([1, 1, 0, 0, 0, 2, *[0] * 7, 7]) + datum
    name = _datum(ENRICHED, event("iam", actor_id="Jörg", permissions=["häufig"]))
    assert _entry(wire.frame(1) + name) == head(NORMAL, 2, 7) + name


@pytest.mark.parametrize(
    "change",
    [
        {"role": ""},
        {"event_id": "018F2B1A-0000-7000-8000-00000000ABCD"},
        {"reason": "", "before": "", "attributes": {"ä": "ö"}},
    ],
)
def test_what_the_table_does_not_tell_apart_is_made_alike(change: dict[str, Any]) -> None:
    fields = event("iam") | change
    plain = {name: None if value == "" else value for name, value in fields.items()}
    plain["event_id"] = plain["event_id"].lower()
    assert _entry(wire.frame(1) + _datum(ENRICHED, fields)) == head(NORMAL, 2, 7) + _datum(ENRICHED, plain)


def test_numbers_with_needless_digits_and_lists_in_blocks_with_sizes_are_made_plain() -> None:
    datum = _datum(ENRICHED, event("iam", permissions=["a"], sequence=5))
    with_size = datum.replace(b"\x02\x02a\x00", b"\x01\x04\x02a\x00")
    assert with_size != datum
    assert _entry(wire.frame(1) + with_size) == head(NORMAL, 2, 7) + datum
    id_size = b"\xc8\x00" + datum[1:]  # 36 in two bytes
    assert _entry(wire.frame(1) + id_size) == head(NORMAL, 2, 7) + datum


def test_fields_that_a_schema_lacks_are_their_defaults() -> None:
    fields = event("iam", role="admin")
    assert _entry(wire.frame(2) + _datum(EVENT, fields)) == head(NORMAL, 2, 7) + _datum(ENRICHED, fields)


@pytest.mark.parametrize(
    "value", [None, b"", b"abc", wire.frame(1), wire.frame(1) + b"\x02", wire.frame(3) + b"x", wire.frame(4)]
)
def test_what_cannot_be_read_is_hashed_as_it_is(value: bytes | None) -> None:
    assert _entry(value) == head(EXACT, 2, 7) + (value or b"")


@given(st.lists(st.binary(min_size=1, max_size=3) | st.none(), min_size=1, max_size=6), st.data())
def test_a_record_s_leaf_does_not_depend_on_its_neighbours(
    damages: list[bytes | None], data: st.DataObject
) -> None:
    records = []
    for offset, damage in enumerate(damages):
        datum = _datum(ENRICHED, event("iam", attributes={"team": "a"}, permissions=["b"]))
        if damage:
            at = data.draw(st.integers(0, len(datum)))
            datum = datum[:at] + damage + datum[at + len(damage) :]
        records.append(Record(offset, wire.frame(1) + datum))
    together = Leaves(_Texts()).entries(2, records)
    assert together == [_entry(record.value, record.offset) for record in records]


# Text of any length that a length's digits may need, hostile ones among them.
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from([0, 1, 63, 64, 127, 128, 255, 256, 8191, 8192, 70_000]).map(lambda size: "x" * size),
    st.sampled_from(["'; DROP TABLE events; --", "\x00\x07", "\\N\t\n", "нет 🔑"]),
)
_NUMBERS = st.sampled_from([0, -1, 1, 63, 64, -64, -65, 2**31, NOON, 2**62, -(2**63), 2**63 - 1])
_TIMES = st.sampled_from([NOON, 0, NOON + MONTH, 253_402_300_799_999_999, -62_135_596_800_000_000])
_EVENTS = st.fixed_dictionaries(
    {
        "event_id": st.builds(IDS),
        "occurred_at": _TIMES,
        "recorded_at": _TIMES,
        **dict.fromkeys(("actor_id", "actor_type", "action", "outcome", "producer_id", "key_status"), _TEXTS),
        **dict.fromkeys(
            ("environment", "key_id", "subject", "role", "resource", "reason", "before", "key_team"),
            st.none() | _TEXTS,
        ),
        "permissions": st.lists(_TEXTS, max_size=4),
        "findings": st.lists(_TEXTS, max_size=70),
        "attributes": st.dictionaries(_TEXTS, _TEXTS, max_size=4),
        "expires_at": st.none() | _TIMES,
        "sequence": _NUMBERS,
        "source_offset": _NUMBERS,
        "source_partition": st.sampled_from([-1, 0, 3, 2**31 - 1, -(2**31)]),
        "enriched_at": _TIMES,
    }
)


def test_a_row_s_leaf_is_its_record_s(settings: Settings) -> None:
    made: list[dict[str, Any]] = []

    @example_settings(max_examples=30, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_EVENTS, min_size=5, max_size=8))
    def collect(events: list[dict[str, Any]]) -> None:
        made.extend(events)

    collect()
    records = [{**fields, "service": "leaves"} for fields in {e["event_id"]: e for e in made}.values()]
    feed, tables = Feed(settings), Tables(settings)
    feed.events(records, partition=1)
    with running_sink(settings):
        tables.await_events("leaves", len(records))
    rows = tables.clickhouse.rows(
        f"{WITH} SELECT event_id, kafka_offset, hex({LEAF_HASH}) AS leaf FROM events WHERE service = 'leaves'"
    )
    offsets = {str(row["event_id"]): int(str(row["kafka_offset"])) for row in rows}
    leaves = Leaves(_Texts())
    for number, record in enumerate(records):
        value = wire.frame(1) + _datum(ENRICHED, record)
        [entry] = leaves.entries(1, [Record(offsets[record["event_id"]], value)])
        [found] = [row["leaf"] for row in rows if row["event_id"] == record["event_id"]]
        assert leaf_hash(entry).hex().upper() == found, f"record {number}: {record}"
    assert np.unique(list(offsets.values())).size == len(records) > 100
