"""What a schema must be so that datums written with it are events.

It holds the event's fields with the event's own types, and may hold more.  Nothing is converted: the datum
goes on to ClickHouse as it came, where each field meets the column of its name.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from fastavro.types import Schema

from keytrail.schemas import avro, strict
from keytrail.schemas.columns import ColumnReader
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Enrichment, Event

# Columns of the table of events that are not the writer's to fill.
_TAKEN = {field.name for field in fields(Enrichment)} | {"inserted_at"}
_TAKEN_PREFIX = "kafka_"
# Some thirty times the event schema's: it is read and registered anew by each worker, with more fields.
MAX_SCHEMA_CHARS = 200_000


class NoValueError(ValueError):
    """A field that every event has is null; the message is its name."""


@dataclass(frozen=True)
class EventDecoder:
    """Decodes datums written with one schema.

    Calling it with (bytes, start of the datum) gives the event, or raises `strict.TornError`, `NoValueError`,
    and `UnicodeDecodeError` for text that is not UTF-8.  `columns` reads many at once, where that is certain
    to give the same.  Thread-safe.
    """

    decode: Callable[[bytes, int], Event]
    read_attributes: Callable[[bytes, int], dict[str, str]]
    columns: ColumnReader | None

    def __call__(self, data: bytes, start: int) -> Event:
        return self.decode(data, start)


def event_decoder(text: str) -> EventDecoder:
    """For datums written with the schema in `text`.  Raises `SchemaError` where that is no event's schema."""
    schema = _parsed(text)
    read = strict.datum_reader(schema)
    theirs, ours = dict(_fields(schema)), dict(_fields(avro.parse(avro.schema_text("event"))))
    _compare(theirs, ours)
    added = [name for name in theirs if name not in ours]
    defaults = [(name, field["default"]) for name, field in ours.items() if name not in theirs]
    required = [
        name
        for name, field in ours.items()
        if name in theirs and "null" in _types(theirs[name]["type"]) - _types(field["type"])
    ]

    def decode(data: bytes, start: int) -> Event:
        values = read(data, start)
        for name in required:
            if values[name] is None:
                raise NoValueError(name)
        for name in added:
            del values[name]
        for name, default in defaults:
            values[name] = copy.copy(default)
        # `Event(**values)` would guard 30 fields against change one by one, and take as long as reading them.
        event = object.__new__(Event)
        vars(event).update(values)
        return event

    columns = None if defaults or required else strict.column_reader(schema)
    return EventDecoder(decode, strict.field_reader(schema, "attributes"), columns)


def _parsed(text: str) -> Schema:
    if len(text) > MAX_SCHEMA_CHARS:
        raise SchemaError(
            f"It has {len(text)} characters, more than {MAX_SCHEMA_CHARS}.", "Shorten it; `doc` is a start."
        )
    return avro.parse(text)


def _fields(schema: Schema) -> Iterator[tuple[str, Any]]:
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise SchemaError("It is not a record's.", "Register the event schema.")
    for field in schema["fields"]:
        yield field["name"], field


def _compare(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    missing = [name for name, field in ours.items() if name not in theirs and "default" not in field]
    unlike = [
        name
        for name, field in ours.items()
        if name in theirs and _types(theirs[name]["type"]) - {"null"} != _types(field["type"]) - {"null"}
    ]
    taken = [name for name in theirs if name in _TAKEN or name.startswith(_TAKEN_PREFIX)]
    for names, what in (
        (missing, "lacks"),
        (unlike, "has another type for"),
        (taken, "may not name a field"),
    ):
        if names:
            raise SchemaError(
                f"It {what} {', '.join(names)}.", "Take the event schema as it is, and add what is new."
            )


def _types(kind: Any) -> set[object]:
    """A field's types, several for a union, in a form that is equal for equal types."""
    if isinstance(kind, list):
        return {_plain(branch) for branch in kind}
    return {_plain(kind)}


def _plain(kind: Any) -> object:
    match kind:
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return kind["type"], frozenset(_types(inner))
        case {"name": str(name)}:
            return name
        case {"type": inner}:
            return _plain(inner)
    return kind
