"""Which schemas write events, and what becomes of fields that are new or missing."""

import json
from typing import Any

import pytest
from world import EVENT_ID, NOON, FixedRegistry, World, event, value_of

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.records import Event
from keytrail.schemas.topics import Topic
from keytrail.stream.reading.reading import EventReader, Readable, Unreadable
from keytrail.stream.reading.source import Record
from keytrail.stream.reading.writers import MAX_SCHEMA_CHARS, event_decoder
from keytrail.stream.worker.at_hand import Slot

EVENT = json.loads(avro.schema_text("event"))


def schema(*, without: tuple[str, ...] = (), added: tuple[dict[str, Any], ...] = ()) -> str:
    fields = [field for field in EVENT["fields"] if field["name"] not in without]
    return json.dumps({**EVENT, "fields": [*fields, *added]})


def written(text: str, some: Event, **more: object) -> bytes:
    return avro.mapping_encoder(avro.parse(text))({**vars(some), **more})


def test_an_event_reads_back_as_it_was() -> None:
    some = event(permissions=["a"], attributes={"team": "x"}, expires_at=NOON, role="r")
    found = event_decoder(json.dumps(EVENT))(value_of(some), wire.HEADER_LENGTH)
    assert found == some
    assert hash(found.event_id) == hash(some.event_id)


def test_fields_that_are_missing_have_their_defaults_each_its_own() -> None:
    text = schema(without=("permissions", "attributes", "outcome", "role", "sequence"))
    decode = event_decoder(text)
    one, two = (decode(written(text, event()), 0) for _ in range(2))
    assert (one.outcome, one.role, one.sequence) == ("success", None, 0)
    one.permissions.append("x")
    one.attributes["x"] = "y"
    assert (two.permissions, two.attributes) == ([], {})


def test_fields_may_stand_in_another_order() -> None:
    text = json.dumps({**EVENT, "fields": EVENT["fields"][::-1]})
    some = event(role="r")
    assert event_decoder(text)(written(text, some), 0) == some


def test_what_is_new_is_read_past() -> None:
    place = {"type": "record", "name": "At", "fields": [{"name": "lat", "type": "double"}]}
    text = schema(added=({"name": "places", "type": {"type": "array", "items": place}},))
    some = event()
    assert event_decoder(text)(written(text, some, places=[{"lat": 1.0}]), 0) == some


@pytest.mark.parametrize("name", ["event_id", "occurred_at", "service", "actor_id", "action"])
def test_what_every_event_has_must_be_there(name: str) -> None:
    with pytest.raises(SchemaError, match=f"lacks {name}") as caught:
        event_decoder(schema(without=(name,)))
    assert caught.value.remedy


def test_a_schema_of_a_megabyte_is_refused() -> None:
    with pytest.raises(SchemaError, match="characters"):
        event_decoder(json.dumps({**EVENT, "doc": "x" * MAX_SCHEMA_CHARS}))


class Registry(FixedRegistry):
    """Counts what it is asked for, and can be away or refuse the enriched schema."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.trouble: Exception | None = None

    def text_of(self, schema_id: int) -> str:
        self.asked.append(schema_id)
        return super().text_of(schema_id)

    def register(self, topic: Topic, text: str) -> int:
        if self.trouble:
            raise self.trouble
        return super().register(topic, text)


def test_an_unknown_id_is_asked_for_once_a_batch_and_found_in_the_next() -> None:
    registry = Registry()
    reader = EventReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    record = Record(0, wire.frame(9) + value_of(event())[5:])
    for _ in range(100):
        found = reader.read(record)
        assert isinstance(found, Unreadable)
        assert found.reason == "unknown_schema"
    assert registry.asked == [9]
    registry.texts[9] = registry.texts[EVENT_ID]
    reader.read_batch([])
    assert isinstance(reader.read(record), Readable)


def test_what_the_registry_refuses_is_tried_again_and_what_is_no_schema_is_not() -> None:
    registry = Registry()
    registry.texts[9] = "[]"
    reader = EventReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    registry.trouble = SchemaError("Not compatible.", "Change the level.")
    for _ in range(3):
        reader.read_batch([])
        for schema_id in (EVENT_ID, 9):
            found = reader.read(Record(0, wire.frame(schema_id) + value_of(event())[5:]))
            assert isinstance(found, Unreadable)
            assert found.reason == "unusable_schema"
    assert registry.asked == [EVENT_ID, 9, EVENT_ID, EVENT_ID]
    registry.trouble = None
    reader.read_batch([])
    assert isinstance(reader.read(Record(0, value_of(event()))), Readable)


def test_a_registry_that_is_away_is_no_reason() -> None:
    registry = Registry()
    registry.trouble = UnavailableError("Away.")
    reader = EventReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        reader.read(Record(0, value_of(event())))
    registry.trouble = None
    assert isinstance(reader.read(Record(0, value_of(event()))), Readable)


def test_an_event_id_in_capitals_is_the_same_id() -> None:
    world = World()
    once = event()
    again = event(event_id=once.event_id.upper())
    assert [output.duplicates for output in world.send(once, again, batch=1)] == [0, 1]
