"""Events read a batch at a time are those read one by one, dead letters included."""

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from world import EVENT_ID, NOON, FixedRegistry, event, value_of

from keytrail.schemas import wire
from keytrail.schemas.records import Event
from keytrail.stream.reading.late_event import LateEvent
from keytrail.stream.reading.reading import LEAST_AT_ONCE, EventReader, Readable, Unreadable
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot

_texts = st.text(st.characters(max_codepoint=0x17F), max_size=12)
_changes = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.sampled_from(["no-uuid", "0" * 36]) | st.uuids().map(str),
        "occurred_at": st.sampled_from([NOON, 0, NOON * 3]),
        "expires_at": st.sampled_from([None, NOON, 5]),
        "subject": st.none() | _texts,
        "role": st.none() | _texts,
        "permissions": st.lists(_texts, max_size=3),
        "reason": st.none() | st.just("x" * 5_000) | _texts,
        "attributes": st.dictionaries(_texts, _texts, max_size=3),
        "sequence": st.integers(-5, 2**40),
    },
)


def reader() -> EventReader:
    made = EventReader(FixedRegistry(), lambda: NOON, Slot())  # type: ignore[arg-type]
    made.read(Record(0, value_of(event())))  # the schema is known from here on
    return made


def whole(read: Readable | Unreadable) -> Any:
    if isinstance(read, Unreadable):
        return read
    values = {field.name: getattr(read.event, field.name) for field in fields(Event)}
    return values, read.datum, read.enriched_frame, read.offset


@settings(max_examples=60)
@given(st.lists(_changes, min_size=LEAST_AT_ONCE, max_size=LEAST_AT_ONCE + 8), st.data())
def test_a_batch_is_read_as_its_records_are(changes: list[dict[str, Any]], data: st.DataObject) -> None:
    values: list[bytes | None] = [value_of(event(**change)) for change in changes]
    values[3], values[5], values[7] = None, b"", wire.frame(EVENT_ID)
    torn = data.draw(st.integers(8, len(values) - 1))
    values[torn] = (values[torn] or b"")[: data.draw(st.integers(0, 60))]
    records = [Record(number, value) for number, value in enumerate(values)]
    at_once, one_by_one = reader().read_batch(records), [reader().read(record) for record in records]
    assert list(map(whole, at_once)) == list(map(whole, one_by_one))


def test_plain_events_are_read_at_once_and_the_rest_of_one_when_asked_for() -> None:
    records = [Record(n, value_of(event(reason=f"reason {n}", sequence=n))) for n in range(LEAST_AT_ONCE)]
    found = reader().read_batch(records)
    for number, read in enumerate(found):
        assert isinstance(read, Readable)
        assert isinstance(read.event, LateEvent)
        assert "reason" not in vars(read.event)
        assert (read.event.reason, read.event.sequence) == (f"reason {number}", number)


def test_a_poisonous_record_is_not_read_at_once_either() -> None:
    slot = Slot()
    for _ in range(2):
        slot.begin(0)
        slot.mark(9)
    slot.begin(0)
    made = EventReader(FixedRegistry(), lambda: NOON, slot)  # type: ignore[arg-type]
    made.read(Record(0, value_of(event())))
    found = made.read_batch([Record(n, value_of(event())) for n in range(LEAST_AT_ONCE)])
    refused = [(number, read) for number, read in enumerate(found) if isinstance(read, Unreadable)]
    assert [(number, read.reason, read.schema_id) for number, read in refused] == [(9, "poison", EVENT_ID)]
