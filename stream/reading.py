"""From a Kafka record to an event, or to the reason why it is none."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event, Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import ENRICHED
from keytrail.stream.source import SourceRecord

MAX_VALUE_BYTES = 1_000_000
EARLIEST: Micros = 631_152_000_000_000  # 1990-01-01: no service reports what happened before
AHEAD: Micros = 24 * 3600 * 1_000_000  # a clock may be this far ahead of ours
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

# What fastavro raises for bytes that are not a datum of the schema.
TORN = (EOFError, ValueError, IndexError, TypeError, KeyError, OverflowError, MemoryError, RecursionError)


@dataclass(frozen=True)
class Readable:
    """An event, its datum's bytes as they came, and the header an enriched datum of it gets."""

    event: Event
    datum: bytes
    enriched_frame: bytes
    offset: int


@dataclass(frozen=True)
class Unreadable:
    """Why a record is no event.  `reason` is one of a fixed set of names; `detail` never holds content."""

    reason: str
    detail: str
    remedy: str
    schema_id: int | None = None


@dataclass(frozen=True)
class _Writer:
    decode: Callable[[bytes, int], Event]
    enriched_frame: bytes


class EventReader:
    """Reads events of any registered schema version.  Not thread-safe.

    `read` raises `UnavailableError` where the registry is away: the record may be fine, so the
    caller tries again later.
    """

    def __init__(self, registry: Registry, clock: Callable[[], Micros]) -> None:
        self._registry = registry
        self._clock = clock
        self._reader = avro.parse(avro.schema_text("event"))
        self._writers: dict[int, _Writer | Unreadable] = {}

    def read(self, record: SourceRecord) -> Readable | Unreadable:
        value = record.value
        if value is None:
            return Unreadable("null_value", "The record has no value.", "Send events with a value.")
        if len(value) > MAX_VALUE_BYTES:
            return Unreadable(
                "over_size",
                f"{len(value)} bytes, more than {MAX_VALUE_BYTES}.",
                "Shorten `before`, `after` or `attributes`, and send the event again.",
            )
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            return Unreadable(
                "bad_magic",
                "The value does not begin with a zero byte and a schema id.",
                "Send events in the Confluent wire format, with the schema registered.",
            )
        writer = self._writers.get(schema_id) or self._learn(schema_id)
        if isinstance(writer, Unreadable):
            return writer
        try:
            event = writer.decode(value, wire.HEADER_LENGTH)
        except UnicodeDecodeError as error:
            return Unreadable(
                "bad_text", f"A text is not UTF-8 ({error.reason}).", "Encode texts as UTF-8.", schema_id
            )
        except TORN as error:
            return Unreadable(
                "torn_datum",
                f"The bytes are no datum of schema {schema_id} ({type(error).__name__}).",
                "Write the datum with the schema whose id stands in the header.",
                schema_id,
            )
        return self._check(event, schema_id) or Readable(
            event, value[wire.HEADER_LENGTH :], writer.enriched_frame, record.offset
        )

    def _learn(self, schema_id: int) -> "_Writer | Unreadable":
        try:
            text = self._registry.text_of(schema_id)
        except SchemaError as error:
            # Not kept: the id may be registered any moment.
            return Unreadable("unknown_schema", error.message, error.remedy, schema_id)
        try:
            decode = avro.decoder(Event, avro.parse(text), self._reader)
            frame = wire.frame(self._registry.register(ENRICHED, enriched_schema(text)))
            writer: _Writer | Unreadable = _Writer(decode, frame)
        except SchemaError as error:
            writer = Unreadable(
                "unusable_schema",
                f"Schema {schema_id} is no event's: {error.message}",
                error.remedy,
                schema_id,
            )
        self._writers[schema_id] = writer
        return writer

    def _check(self, event: Event, schema_id: int) -> Unreadable | None:
        if not _UUID.fullmatch(event.event_id):
            return Unreadable(
                "invalid_event",
                "event_id is no UUID.",
                "Give each event a UUID, version 7 at best.",
                schema_id,
            )
        if not EARLIEST <= event.occurred_at <= self._clock() + AHEAD:
            return Unreadable(
                "absurd_time",
                f"occurred_at is {event.occurred_at} µs: before 1990, or more than a day ahead.",
                "Set the producer's clock, and state times in microseconds since 1970, UTC.",
                schema_id,
            )
        return None


def enriched_schema(event_schema: str) -> str:
    """The schema of an enriched datum whose event was written with `event_schema`.

    Avro writes a record as its fields one after the other, so a datum of the result is a datum
    of the event's schema followed by the enrichment's fields.
    """
    ours = json.loads(avro.schema_text("enriched"))
    event_fields = {field["name"] for field in json.loads(avro.schema_text("event"))["fields"]}
    theirs = json.loads(event_schema)
    if not isinstance(theirs, dict) or theirs.get("type") != "record":
        raise SchemaError("The schema is not a record.", "Register the event schema.")
    ours["fields"] = theirs["fields"] + [f for f in ours["fields"] if f["name"] not in event_fields]
    return json.dumps(ours)
