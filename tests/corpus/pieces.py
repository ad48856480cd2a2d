"""An event in its encoded pieces, so that a case can put another piece in a field's place."""

import io
import json
from dataclasses import dataclass

import fastavro

from keytrail.schemas import avro

THEN = 1_717_243_200_000_000  # 2024-06-01 12:00 UTC
YEAR_30000 = 884_541_340_800_000_000
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

EVENT_SCHEMA = json.loads(avro.schema_text("event"))
_VALUES: dict[str, object] = {
    "event_id": "018fd3a5-6c00-7000-8000-00000000c0de",
    "occurred_at": THEN,
    "recorded_at": THEN,
    "service": "iam",
    "environment": "production",
    "actor_id": "bob",
    "actor_type": "human",
    "key_id": "pk_1",
    "action": "grant",
    "subject": "alice",
    "role": "reader",
    "permissions": ["read", "list"],
    "reason": "joins the team",
    "attributes": {"team": "platform"},
}


@dataclass(frozen=True)
class Times:
    """Some bytes, many times over: a case stays small, however large its record is."""

    piece: bytes
    count: int


Part = bytes | Times


@dataclass(frozen=True)
class Case:
    """One record of the corpus.

    `reason` is that of its dead letter; None: it is an event all the same.  `schema` is the name of a
    committed schema, or the text of another; its id begins the value, unless it is "".
    `refused`: registries do not take this schema, so its records come only where one is lax.
    """

    name: str
    reason: str | None
    defect: str
    value: tuple[Part, ...] | None
    schema: str = "event"
    key: Part | None = b"alice"
    headers: tuple[tuple[str, bytes | None], ...] = ()
    refused: bool = False


def long(number: int) -> bytes:
    rest = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    digits = bytearray()
    while rest > 0x7F:
        digits.append(rest & 0x7F | 0x80)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


def text(content: bytes) -> bytes:
    return long(len(content)) + content


def some(piece: bytes) -> bytes:
    """The second branch of a union with null."""
    return b"\2" + piece


def attributes(*entries: tuple[bytes, bytes]) -> bytes:
    return long(len(entries)) + b"".join(text(name) + text(value) for name, value in entries) + b"\0"


def _encoded(field: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    schema = avro.parse(json.dumps({"type": "record", "name": "One", "fields": [field]}))
    name = str(field["name"])
    fastavro.schemaless_writer(buffer, schema, {name: _VALUES[name]} if name in _VALUES else {})
    return buffer.getvalue()


PIECES = {str(field["name"]): _encoded(field) for field in EVENT_SCHEMA["fields"]}


def datum(**pieces: bytes) -> bytes:
    """The event's datum, with other pieces for the fields that are named."""
    return b"".join((PIECES | pieces).values())


def until(name: str, more: int = 0) -> bytes:
    """The datum up to where a field begins, and `more` bytes."""
    before = list(PIECES.values())[: list(PIECES).index(name)]
    return datum()[: len(b"".join(before)) + more]
