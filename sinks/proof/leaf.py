"""Leaves: what of a record of the enriched topic is hashed.

A leaf's entry is a version (1), a form, the partition in 4 bytes, the offset in 8 (big-endian), and then

* form 1, `NORMAL`: the record's datum, which holds the event as its service sent it and the enrichment, in
  *normal form*.  That is the schema `enriched.v2` with each absent text as null, ids in lower case, lists and
  maps as one block without a size, and numbers as short as can be, which is how nearly every datum comes.
  The table holds all of it, so ClickHouse makes the same bytes (`leaf_sql`).
* form 0, `EXACT`: the record's value as it is, where it cannot be read as an event.  The sink keeps such a
  value among the dead letters.

A column that is added to the table later is no part of version 1; another version will have it.
"""

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from keytrail.schemas import avro, strict, wire
from keytrail.schemas.columns import ColumnReader, Columns
from keytrail.schemas.errors import SchemaError

VERSION = 1
EXACT = 0
NORMAL = 1
NORMAL_SCHEMA = avro.schema_text("enriched", 2)


@dataclass(frozen=True)
class Field:
    """Of the normal form; `type` without what only readers of other kinds need."""

    name: str
    type: Any
    is_time: bool
    default: object


def _plain(kind: Any) -> Any:
    match kind:
        case list():
            return [_plain(branch) for branch in kind]
        case {"type": "string" | "long" | "int" as inner}:
            return inner
    return kind


FIELDS = [
    Field(f["name"], _plain(f["type"]), "timestamp" in json.dumps(f["type"]), f.get("default"))
    for f in json.loads(NORMAL_SCHEMA)["fields"]
]
_HEAD = struct.Struct(">BBIQ")
_UUID_CHARS = 36
# Of a column for what is absent where a datum says null, as the sink has ClickHouse fill it in.
_ABSENT: Mapping[str, object] = {"string": "", "long": 0, "int": 0, "array": [], "map": {}}


class SchemaTexts(Protocol):
    """Gives a schema's text by its id, as `keytrail.schemas.registry.Registry` does."""

    def text_of(self, schema_id: int) -> str: ...


class Record(NamedTuple):
    """Of the enriched topic; its value with the wire header."""

    offset: int
    value: bytes | None


def head(form: int, partition: int, offset: int) -> bytes:
    """What stands before a leaf's bytes."""
    return _HEAD.pack(VERSION, form, partition, offset)


class Leaves:
    """Makes the leaves of records.  Not thread-safe."""

    def __init__(self, registry: SchemaTexts) -> None:
        self._registry = registry
        self._normal = _Normal()
        self._readers: dict[int, _Reader | None] = {}

    def hashes(self, partition: int, records: Sequence[Record]) -> bytes:
        """The leaf hashes of a partition's records, joined.  Raises `UnavailableError`: no registry."""
        return b"".join([sha256(b"\0" + entry).digest() for entry in self.entries(partition, records)])

    def entries(self, partition: int, records: Sequence[Record]) -> list[bytes]:
        """The leaves themselves.  Raises as `hashes` does."""
        entries = [b""] * len(records)
        by_schema: dict[int, list[int]] = {}
        for row, record in enumerate(records):
            schema_id = wire.schema_id_of(record.value) if record.value is not None else None
            if schema_id is None or self._reader(schema_id) is None:
                entries[row] = head(EXACT, partition, record.offset) + (record.value or b"")
            else:
                by_schema.setdefault(schema_id, []).append(row)
        for schema_id, rows in by_schema.items():
            reader = self._reader(schema_id)
            values = [records[row].value or b"" for row in rows]
            for row, value, datum in zip(rows, values, reader(values) if reader else values, strict=True):
                form, content = (EXACT, value) if datum is None else (NORMAL, datum)
                entries[row] = head(form, partition, records[row].offset) + content
        return entries

    def _reader(self, schema_id: int) -> "_Reader | None":
        """None for a schema by which nothing can be read."""
        if schema_id not in self._readers:
            try:
                self._readers[schema_id] = self._normal.reader(self._registry.text_of(schema_id))
            except SchemaError:
                self._readers[schema_id] = None
        return self._readers[schema_id]


# From values to their datums in normal form, None for one that cannot be read.
_Reader = Callable[[Sequence[bytes]], Iterable[bytes | None]]


class _Normal:
    """The normal form, and readers that give it."""

    def __init__(self) -> None:
        schema = avro.parse(NORMAL_SCHEMA)
        self._encode = avro.mapping_encoder(schema)
        self._optional_texts = [field.name for field in FIELDS if field.type == ["null", "string"]]

    def reader(self, text: str) -> "_Reader":
        """Raises `SchemaError` for a schema that nothing is to be read by."""
        schema = avro.parse(text)
        read = strict.datum_reader(schema)
        fields = schema.get("fields") if isinstance(schema, dict) else None
        if not fields:
            raise SchemaError("The schema is no record.")
        same = [(f["name"], _plain(f["type"])) for f in fields] == [(f.name, f.type) for f in FIELDS]
        columns = strict.column_reader(schema) if same else None

        def normal(value: bytes) -> bytes | None:
            try:
                return self._of(read(value, wire.HEADER_LENGTH))
            except (strict.TornError, UnicodeDecodeError):
                return None

        def all_normal(values: Sequence[bytes]) -> Iterable[bytes | None]:
            datums = [value[wire.HEADER_LENGTH :] for value in values]
            # Where columns are sure that a datum is in normal form, it is taken as it came.
            sure = self._are_normal(columns, datums) if columns else [False] * len(values)
            for value, datum, is_normal in zip(values, datums, sure, strict=True):
                yield datum if is_normal else normal(value)

        return all_normal

    def _of(self, values: Mapping[str, Any]) -> bytes | None:
        normal: dict[str, object] = {}
        for field in FIELDS:
            value = values.get(field.name, field.default)
            if isinstance(field.type, list):
                value = None if value == "" else value
            elif value is None:
                value = _ABSENT[field.type if isinstance(field.type, str) else field.type["type"]]
            normal[field.name] = value
        normal["event_id"] = str(normal["event_id"]).lower()
        try:
            return self._encode(normal)
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None  # a field of another type

    def _are_normal(self, reader: ColumnReader, datums: Sequence[bytes]) -> list[bool]:
        if not all(datums):  # columns are not asked about an empty one
            return [False] * len(datums)
        ends = np.asarray(list(accumulate(map(len, datums))), dtype=np.int64)
        starts = np.concatenate(([0], ends[:-1]))
        return self._sure(reader.read(b"".join(datums), starts, ends), starts)

    def _sure(self, found: Columns, starts: npt.NDArray[np.int64]) -> list[bool]:
        raw = np.frombuffer(found.data, dtype=np.uint8)
        sure = found.sure.copy()
        for name in self._optional_texts:
            sure &= (found.starts[name] != found.ends[name]) | (found.starts[name] < 0)
        # Bytes above 127 are in numbers only, where columns are sure; zero behind one is a needless digit.
        long = np.flatnonzero((raw[:-1] > 0x7F) & (raw[1:] == 0))
        sure[np.searchsorted(starts, long, side="right") - 1] = False
        ids = found.starts["event_id"]
        sure &= found.ends["event_id"] - ids == _UUID_CHARS
        rows = np.flatnonzero(sure)
        letters = raw[ids[rows, None] + np.arange(_UUID_CHARS)]
        sure[rows[((letters >= ord("A")) & (letters <= ord("Z"))).any(axis=1)]] = False
        normal: list[bool] = sure.tolist()
        return normal
