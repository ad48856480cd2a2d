"""Avro: reading the committed schemas, and turning records into datums and back.

Datums are what the Avro 1.12 specification calls binary encoding: no header, no schema.
`wire` puts the Confluent header before them.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar, cast

import fastavro
from fastavro.types import Schema

from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import (
    Attendance,
    Deed,
    GlassMoments,
    Header,
    NumberBlock,
    Occurrence,
    PrivilegedUse,
    Profile,
    Report,
    RoleHolding,
    RunNumbers,
    Suspension,
    Tally,
    ToldLoss,
    Triage,
)

Record = TypeVar("Record")

LATEST = {"event": 1, "enriched": 2, "key": 2, "anomaly": 1, "deadletter": 1, "signal": 2}


def schema_text(name: str, version: int | None = None) -> str:
    """The text of a committed schema; `version` None means the latest."""
    number = LATEST[name] if version is None else version
    return files("keytrail.schemas").joinpath(f"avsc/{name}.v{number}.avsc").read_text(encoding="utf-8")


# What fastavro and json raise for a text that is no schema, or one that nests without end.
_NO_SCHEMA = (
    *(ValueError, TypeError, KeyError, AttributeError, RecursionError),
    *(fastavro.schema.SchemaParseException, fastavro.schema.UnknownType),
)


def parse(text: str) -> Schema:
    """A schema ready for reading and writing, its logical types left out.

    Times stay whole microseconds and UUIDs stay text: that is what the records hold, and it
    spares a conversion a field.  Raises `SchemaError` for a text that is no Avro schema.
    """
    try:
        return fastavro.parse_schema(_plain(json.loads(text)))
    except _NO_SCHEMA as error:
        raise SchemaError(f"Not an Avro schema: {error}.", "Correct the schema's text.") from error


def _plain(node: object) -> Any:
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items() if name not in {"logicalType", "doc"}}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node


def encoder(schema: Schema) -> Callable[[object], bytes]:
    """A function from a record (one of `records`) to its datum.  Not thread-safe."""
    encode = mapping_encoder(schema)
    return lambda record: encode(as_mapping(record))


def mapping_encoder(schema: Schema) -> Callable[[Mapping[str, object]], bytes]:
    """As `encoder`, from fields by name; a field that is not there is its default.  Not thread-safe."""
    buffer = io.BytesIO()

    def encode(fields: Mapping[str, object]) -> bytes:
        buffer.seek(0)
        buffer.truncate()
        fastavro.schemaless_writer(buffer, schema, fields)
        return buffer.getvalue()

    return encode


def as_mapping(record: object) -> dict[str, object]:
    """A record's fields by name, records within it too, as fastavro writes them.  Not to be changed.

    A record that may be null stands with its type's name: fastavro would look through all of it to tell which
    branch it is.
    """
    kind: Any = type(record)
    lists, singles = _within(kind)
    slots = getattr(kind, "__slots__", None)
    plain = vars(record) if slots is None else {name: getattr(record, name) for name in slots}
    if not lists and not singles:
        return plain
    plain = dict(plain)
    for name in lists:
        plain[name] = [as_mapping(item) for item in cast(list[object], plain[name])]
    for name, branch in singles:
        if (value := plain[name]) is not None:
            plain[name] = (branch, as_mapping(value))
    return plain


@cache
def _within(kind: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Its fields that hold lists of records; and those that may hold one, with the name of its type."""
    names = [f.name for f in fields(kind)]
    singles = [(name, f"{_NAMESPACE}.{_SINGLES[name].__name__}") for name in names if name in _SINGLES]
    return [name for name in names if name in _LISTS], singles


def decoder(kind: type[Record], writer: Schema, reader: Schema) -> Callable[[bytes, int], Record]:
    """A function from (bytes, start of the datum) to a record of `kind`.

    `writer` is the schema the datum was written with, `reader` that of `kind`.  The function
    raises what fastavro raises for a torn datum (`EOFError`, `ValueError`, `IndexError`,
    `UnicodeDecodeError`, ...) and `ValueError` where bytes are left over.
    """
    resolve = None if writer == reader else reader
    make = _maker(kind)

    def decode(data: bytes, start: int = 0) -> Record:
        source = io.BytesIO(data)
        source.seek(start)
        datum = cast(dict[str, Any], fastavro.schemaless_reader(source, writer, resolve))
        if source.tell() != len(data):
            raise ValueError(f"{len(data) - source.tell()} bytes are left over behind the datum")
        return make(datum)

    return decode


def _maker(kind: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """A function from a datum's fields to a record, with the records within it.  It changes the datum."""
    names = {f.name for f in fields(cast(Any, kind))}
    lists = {name: _maker(of) for name, of in _LISTS.items() if name in names}
    singles = {name: _maker(of) for name, of in _SINGLES.items() if name in names}

    def make(datum: dict[str, Any]) -> Record:
        for name, of in lists.items():
            datum[name] = [of(item) for item in datum[name]]
        for name, of in singles.items():
            datum[name] = None if datum[name] is None else of(datum[name])
        return kind(**datum)

    return make


# Fields that hold records, by name: the same name means the same in every schema.
_LISTS: Mapping[str, type[object]] = {
    "blocks": NumberBlock,
    "deeds": Deed,
    "headers": Header,
    "holdings": RoleHolding,
    "events": Occurrence,
    "glass": GlassMoments,
    "lost": ToldLoss,
    "numbers": RunNumbers,
    "privileged": PrivilegedUse,
    "uses": Occurrence,
    "reviews": Occurrence,
    "reports": Report,
    "suspensions": Suspension,
}
_SINGLES: Mapping[str, type[object]] = {
    "attendance": Attendance,
    "profile": Profile,
    "tally": Tally,
    "triage": Triage,
}
_NAMESPACE = "keytrail"
