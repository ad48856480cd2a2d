"""From a Kafka record to an event, or to the reason why it is none."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from fastavro.read import SchemaResolutionError

from keytrail.schemas import avro, wire
from keytrail.schemas.attributes import CLAIM
from keytrail.schemas.columns import NULL, Columns, Flags
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import DeadReason, Event, Micros
from keytrail.schemas.signature import fingerprint
from keytrail.schemas.strict import TornError
from keytrail.schemas.topics import ENRICHED, Topic
from keytrail.stream.reading.late_event import are_uuids, late_events
from keytrail.stream.reading.schema_source import Schemas
from keytrail.stream.reading.signed import UNSIGNED, MasterSource, Signed, no_masters, read_signature
from keytrail.stream.reading.source import LostRecord, SourceRecord
from keytrail.stream.reading.writers import EventDecoder, NoValueError, event_decoder
from keytrail.stream.worker.at_hand import Slot

MAX_VALUE_BYTES = 1_000_000
# Of what events are found and compared by: it goes on into signals, findings and state, several times over.
MAX_NAME_CHARS = 4_096
EARLIEST: Micros = 631_152_000_000_000  # 1990-01-01: no service reports what happened before
LATEST: Micros = 253_402_300_799_999_999  # the end of year 9999, which some mean by "never"
AHEAD: Micros = 24 * 3600 * 1_000_000  # a clock may be this far ahead of ours
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NAMES = (
    *("service", "environment", "actor_id", "actor_type", "key_id", "key_alias", "action", "subject", "role"),
    *("resource", "ticket", "approved_by", "outcome", "source_ip", "trace_id", "span_id", "correlation_id"),
    "producer_id",
)

# For fewer records it takes longer to read them at once.
LEAST_AT_ONCE = 32

# What fastavro raises for bytes that are not a datum of the schema.
TORN = (
    *(EOFError, ValueError, IndexError, TypeError, KeyError, OverflowError, MemoryError, RecursionError),
    SchemaResolutionError,
)


class Readable(NamedTuple):
    """An event, its datum's bytes as they came, and the header an enriched datum of it gets.

    `arrived`: when the broker took it, by its clock, where that is known.
    """

    event: Event
    datum: bytes
    enriched_frame: bytes
    offset: int
    signed: Signed = UNSIGNED
    arrived: Micros | None = None


@dataclass(frozen=True)
class Unreadable:
    """Why a record is no event.  `detail` never holds content of the record."""

    reason: DeadReason
    detail: str
    remedy: str
    schema_id: int | None = None


LOST = Unreadable(
    "unreadable_batch",
    "It lay in a batch that the broker gave back damaged, and that somebody chose to pass over.",
    "Where its producer still has it, send the event again with the same event_id.",
)


POISON = Unreadable(
    "poison",
    "The worker died twice while it had this record at hand.",
    "Report it with the record; replay it with a version in which that is mended.",
)


@dataclass(frozen=True)
class _Writer:
    decode: EventDecoder
    enriched_frame: bytes
    fingerprint: bytes


class EventReader:
    """Reads events of any registered schema version.  Not thread-safe.

    `read` raises nothing but `UnavailableError`, where the registry is away: the record may be fine, so
    the caller tries again later.  It takes time in proportion to the record's size, whatever the schema.
    """

    def __init__(
        self,
        registry: Schemas,
        clock: Callable[[], Micros],
        at_hand: Slot,
        masters: MasterSource = no_masters,
    ) -> None:
        """`masters` gives the secrets that signatures are checked by, and is asked once a batch."""
        self._registry = registry
        self._master_source = masters
        self._masters = no_masters()
        self._clock = clock
        self._at_hand = at_hand
        self._writers: dict[int, _Writer | Unreadable] = {}
        self._refused: dict[int, Unreadable] = {}

    def read_batch(self, records: Sequence[SourceRecord]) -> list[Readable | Unreadable]:
        """What each record is, in order.

        The registry is asked again for what it did not know or refused in the batch before.
        """
        self._refused.clear()
        self._masters = self._master_source()
        at_once = self._read_at_once(records) if len(records) >= LEAST_AT_ONCE else {}
        found = [at_once.get(number) or self.read(record) for number, record in enumerate(records)]
        self._at_hand.clear()
        return found

    def read(self, record: SourceRecord) -> Readable | Unreadable:
        self._at_hand.mark(record.offset)
        value = record.value
        if record.offset == self._at_hand.poison:
            return replace(POISON, schema_id=wire.schema_id_of(value or b""))
        if value is None:
            if isinstance(record, LostRecord):
                return LOST
            return Unreadable("null_value", "The record has no value.", "Send events with a value.")
        if len(value) > MAX_VALUE_BYTES:
            return Unreadable(
                "over_size",
                f"{len(value)} bytes, more than {MAX_VALUE_BYTES}.",
                "Shorten `before`, `after` or `attributes`, and send the event again.",
                wire.schema_id_of(value),
            )
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            return Unreadable(
                "bad_magic",
                "The value does not begin with a zero byte and a schema id.",
                "Send events in the Confluent wire format, with the schema registered.",
            )
        writer = self._writer(schema_id)
        if isinstance(writer, Unreadable):
            return writer
        try:
            event = writer.decode(value, wire.HEADER_LENGTH)
        except UnicodeDecodeError as error:
            return Unreadable(
                "bad_text", f"A text is not UTF-8 ({error.reason}).", "Encode texts as UTF-8.", schema_id
            )
        except TornError as error:
            return Unreadable(
                "torn_datum",
                f"The bytes are no datum of schema {schema_id}: {error}.",
                "Write the datum with the schema whose id stands in the header.",
                schema_id,
            )
        except NoValueError as error:
            return Unreadable(
                "invalid_event", f"{error} is null.", "Give each event a value there.", schema_id
            )
        refused = self._check(event, len(value), schema_id)
        if refused is not None:
            return refused
        datum = value[wire.HEADER_LENGTH :]
        signed = self._signed(event, record, writer, datum)
        return Readable(event, datum, writer.enriched_frame, record.offset, signed, record.arrived)

    def _signed(self, event: Event, record: SourceRecord, writer: _Writer, datum: bytes) -> Signed:
        if not record.headers and CLAIM not in event.attributes:
            return UNSIGNED
        return read_signature(event, record.headers, writer.fingerprint, datum, self._masters)

    def _read_at_once(self, records: Sequence[SourceRecord]) -> dict[int, Readable]:
        """By its number, what is certainly an event among the records that share the first one's schema."""
        frame = (records[0].value or b"")[: wire.HEADER_LENGTH]
        schema_id = wire.schema_id_of(frame)
        writer = None if schema_id is None else self._writer(schema_id)
        if not isinstance(writer, _Writer) or writer.decode.columns is None:
            return {}
        numbers, values, poison = [], [], self._at_hand.poison
        for number, record in enumerate(records):
            value = record.value
            if value is None or record.offset == poison:
                continue
            if value.startswith(frame) and len(frame) < len(value) <= MAX_NAME_CHARS:
                numbers.append(number)
                values.append(value)
        if not values:
            return {}
        datums = [value[wire.HEADER_LENGTH :] for value in values]
        ends = np.cumsum([len(datum) for datum in datums])
        columns = writer.decode.columns.read(b"".join(datums), np.concatenate(([0], ends[:-1])), ends)
        rows = np.flatnonzero(columns.sure & self._are_sound(columns))
        events = late_events(columns, rows, [values[row] for row in rows], writer.decode)
        found = {}
        for row, event in zip(rows.tolist(), events, strict=True):
            record, datum = records[numbers[row]], datums[row]
            signed = self._signed(event, record, writer, datum)
            found[numbers[row]] = Readable(
                event, datum, writer.enriched_frame, record.offset, signed, record.arrived
            )
        return found

    def _are_sound(self, columns: Columns) -> Flags:
        """As `_check`: the id is a UUID and the times are possible."""
        latest = self._clock() + AHEAD
        sound = are_uuids(columns, "event_id")
        for name in ("occurred_at", "recorded_at"):
            at = columns.numbers[name]
            sound &= (at >= EARLIEST) & (at <= latest)
        expires = columns.numbers["expires_at"]
        is_null = columns.starts["expires_at"] == NULL
        sound &= is_null | ((expires >= EARLIEST) & (expires <= LATEST))
        return sound

    def _writer(self, schema_id: int) -> "_Writer | Unreadable":
        return self._writers.get(schema_id) or self._refused.get(schema_id) or self._learn(schema_id)

    def _learn(self, schema_id: int) -> "_Writer | Unreadable":
        try:
            text = self._registry.text_of(schema_id)
        except SchemaError as error:
            # Kept for the batch alone: the id may be registered any moment.
            refused = Unreadable("unknown_schema", error.message, error.remedy, schema_id)
            self._refused[schema_id] = refused
            return refused
        try:
            decode = event_decoder(text)
        except SchemaError as error:
            return self._keep(schema_id, _unusable(schema_id, error))
        try:
            frame = wire.frame(self._registry.register(_subject(schema_id, text), enriched_schema(text)))
        except SchemaError as error:
            # What the registry refuses it may take once its settings are changed.
            self._refused[schema_id] = refused = _unusable(schema_id, error)
            return refused
        return self._keep(schema_id, _Writer(decode, frame, fingerprint(text)))

    def _keep(self, schema_id: int, writer: "_Writer | Unreadable") -> "_Writer | Unreadable":
        self._writers[schema_id] = writer
        return writer

    def _check(self, event: Event, size: int, schema_id: int) -> Unreadable | None:
        if not _UUID.fullmatch(event.event_id):
            return Unreadable(
                "invalid_event",
                "event_id is no UUID.",
                "Give each event a UUID, version 7 at best.",
                schema_id,
            )
        latest = self._clock() + AHEAD
        if not (EARLIEST <= event.occurred_at <= latest and EARLIEST <= event.recorded_at <= latest):
            return Unreadable(
                "absurd_time",
                f"occurred_at is {event.occurred_at} µs and recorded_at {event.recorded_at} µs: "
                "one is before 1990, or more than a day ahead.",
                "Set the producer's clock, and state times in microseconds since 1970, UTC.",
                schema_id,
            )
        if event.expires_at is not None and not EARLIEST <= event.expires_at <= LATEST:
            return Unreadable(
                "absurd_time",
                f"expires_at is {event.expires_at} µs: before 1990, or after the year 9999.",
                "State times in microseconds since 1970, UTC, and leave out the end of what does not end.",
                schema_id,
            )
        return self._check_names(event, schema_id) if size > MAX_NAME_CHARS else None

    @staticmethod
    def _check_names(event: Event, schema_id: int) -> Unreadable | None:
        fields = vars(event)
        sizes = {name: len(fields[name] or "") for name in _NAMES}
        sizes["attributes.team"] = len(event.attributes.get("team", ""))
        longest = max(sizes, key=lambda name: sizes[name])
        if sizes[longest] <= MAX_NAME_CHARS:
            return None
        return Unreadable(
            "over_size",
            f"{longest} has {sizes[longest]} characters, more than {MAX_NAME_CHARS}.",
            "Put long text into `reason`, `before`, `after` or `attributes`, and send the event again.",
            schema_id,
        )


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


def _subject(schema_id: int, event_schema: str) -> Topic:
    """Where the enriched schema is registered: beside our own, unless the event's is another.

    Under one subject a registry holds each against those before it, and whoever adds a field would decide
    which fields others may add.
    """
    if json.loads(event_schema) == json.loads(avro.schema_text("event")):
        return ENRICHED
    return replace(ENRICHED, name=f"{ENRICHED.name}-of-{schema_id}")


def _unusable(schema_id: int, error: SchemaError) -> Unreadable:
    return Unreadable(
        "unusable_schema", f"Schema {schema_id} is no event's: {error.message}", error.remedy, schema_id
    )
