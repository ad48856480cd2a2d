"""Dead letters: everything that came is kept, and every letter can be written."""

import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOON, World, event, records

from keytrail.schemas import avro
from keytrail.schemas.records import CUT_HEADER, DeadLetter, Header
from keytrail.schemas.topics import EVENTS
from keytrail.stream.reading.letters import MAX_CONTENT_BYTES, dead_letter
from keytrail.stream.reading.source import Record

SCHEMA = avro.parse(avro.schema_text("deadletter"))
ROOM = 100_000


def letter(record: Record, detail: str = "what", remedy: str = "do") -> DeadLetter:
    return dead_letter(
        EVENTS, 3, record, reason="torn_datum", detail=detail, remedy=remedy, schema_id=None, failed_at=NOON
    )


def written(some: DeadLetter) -> bytes:
    datum = avro.encoder(SCHEMA)(some)
    assert avro.decoder(DeadLetter, SCHEMA, SCHEMA)(datum, 0) == some
    return datum


HEADERS = st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=50)), max_size=10)


@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=300),
    HEADERS,
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=()), max_size=1_000),
)
def test_any_record_makes_a_letter_that_holds_all_of_it(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    timestamp: int,
    detail: str,
) -> None:
    some = letter(Record(5, value, key, timestamp, headers), detail, detail)
    written(some)
    assert (some.key, some.value) == (key, value)
    assert some.headers == [Header(name, content) for name, content in headers]
    assert len(some.detail) <= 500


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", bytes(MAX_CONTENT_BYTES), []),
        (b"k", bytes(20_000_000), [("a", b"b")]),
        (bytes(20_000_000), b"v", []),
        (bytes(3_000_000), bytes(3_000_000), [("a", bytes(3_000_000)), ("b", b"c")]),
        (None, None, [("a", bytes(50_000))] * 200),
        (None, bytes(3_000_000), [("a" * 900, None)] * 5_000),
    ],
    ids=["value", "more", "key", "all", "headers", "names"],
)
def test_what_would_not_fit_is_cut_and_says_so(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    some = letter(Record(5, value, key, 0, headers))
    assert len(written(some)) < MAX_CONTENT_BYTES + ROOM
    assert some.headers[-1].name == CUT_HEADER
    size = len(key or b"") + len(value or b"") + sum(len(n) + len(c or b"") for n, c in headers)
    assert some.headers[-1].value == str(size).encode()
    assert (key or b"").startswith(some.key or b"")
    assert (value or b"").startswith(some.value or b"")


def test_a_partition_of_mostly_dead_records_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    caplog.set_level(logging.WARNING, "keytrail.stream.stages.event_stage")
    for start in range(0, 1_000, 100):
        world.send_records([Record(start + n, b"torn") for n in range(100)])
    [begun] = caplog.messages
    assert "keytrail.events/0: 100 of the latest 100 records could not be used, most for bad_magic" in begun
    for start in range(1_000, 3_000, 100):
        world.send_records(records([event() for _ in range(100)], start))
    assert len(caplog.messages) == 2
    assert "can be used again" in caplog.messages[1]
