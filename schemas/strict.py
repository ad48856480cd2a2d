"""Reading Avro datums without trusting the bytes, nor the schema that they were written with.

Whoever may write to a topic chooses both.  fastavro reads a `null` array with a count of 2^60 for ever,
dies with the process on a schema that contains itself, and takes a union's branch -1 and numbers of any
length, which ClickHouse refuses.  Here nothing is smaller than a byte, so that reading ends where the bytes
end, and what Avro has no spelling for is refused (docs/decisions/014-strict-reading.md).
"""

import struct
from collections.abc import Callable
from typing import Any

from fastavro.types import Schema

from keytrail.schemas.columns import ColumnReader
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.record_code import FieldCode, Fields, Read, generated

MAX_DEPTH = 32
MAX_TYPES = 2_000  # of a schema with every name spelled out


class TornError(ValueError):
    """The bytes are no datum of the schema.  The message is a clause that shows nothing of them."""


def datum_reader(schema: Schema) -> Callable[[bytes, int], Any]:
    """A function from (bytes, start of the datum) to its value, with records as dictionaries.

    `schema` is what `avro.parse` gives.  Raises `SchemaError` for one that must not be read by: nested too
    deeply, too large, with a type that contains itself or takes no bytes.  The function raises `TornError`,
    and `UnicodeDecodeError` for text that is not UTF-8; it takes time in proportion to the bytes.
    Thread-safe.
    """
    plain, read_surely = plain_reader(schema), _fast(schema)

    def decode(data: bytes, start: int = 0) -> Any:
        try:
            if (fields := read_surely(data, start)) is not None:
                return fields
        except (IndexError, ValueError):
            pass  # the bytes are wrong; what is wrong with them is found below
        return plain(data, start)

    return decode


def plain_reader(schema: Schema) -> Callable[[bytes, int], Any]:
    """As `datum_reader`, and slower: what the generated code is measured by."""
    read = _Compiler().read(schema, 0)

    def decode(data: bytes, start: int) -> Any:
        try:
            value, end = read(data, start)
        except IndexError:
            raise TornError("it ends too early") from None
        if end != len(data):
            raise TornError(f"{len(data) - end} bytes are left over")
        return value

    return decode


def column_reader(schema: Schema) -> ColumnReader | None:
    """A reader of many datums at once; None where the schema is no record of texts, longs, and lists and maps
    of texts.  Raises `SchemaError` as `datum_reader` does."""
    fields = _record_fields(schema)
    return ColumnReader(fields) if fields and ColumnReader.reads(fields) else None


def field_reader(schema: Schema, name: str) -> Callable[[bytes, int], Any]:
    """A function from (bytes, start of the field) to the value of a record's field.

    It raises as `datum_reader`'s does; what comes behind the field is not looked at.
    """
    [read] = [field.read for field in _record_fields(schema) if field.name == name] or [_missing]
    return lambda data, start: read(data, start)[0]


def _fast(schema: Any) -> Fields:
    fields = _record_fields(schema)
    return generated(fields, _text, _long) if fields else lambda _data, _at: None


def _record_fields(schema: Any) -> list[FieldCode]:
    """None where the schema is no record's."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return []
    compiler = _Compiler()
    return [FieldCode(f["name"], f["type"], compiler.read(f["type"], 1)) for f in schema["fields"]]


class _Compiler:
    """Turns a schema into functions, one for each place in it."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._open: set[str] = set()
        self._types = 0

    def read(self, schema: object, depth: int) -> Read:
        self._types += 1
        if depth > MAX_DEPTH:
            raise _unsound(f"it is nested more than {MAX_DEPTH} deep")
        if self._types > MAX_TYPES:
            raise _unsound(f"it has more than {MAX_TYPES} types")
        match schema:
            case str(name) if name in _PRIMITIVES:
                return _PRIMITIVES[name]
            case str(name) if name in self._named:
                return self._read_named(name, self._named[name], depth)
            case [_, *_]:
                return _union([_null if b == "null" else self.read(b, depth + 1) for b in schema])
            case {"type": "array", "items": items}:
                return _array(self.read(items, depth + 1))
            case {"type": "map", "values": values}:
                return _map(self.read(values, depth + 1))
            case {"type": "record" | "error" | "enum" | "fixed", "name": str(name)}:
                return self._read_named(name, schema, depth)
            case {"type": inner} if inner not in ("array", "map", "record", "error", "enum", "fixed"):
                return self.read(inner, depth + 1)
        raise _unsound("a type takes no bytes" if schema == "null" else "a type is not complete")

    def _read_named(self, name: str, schema: Any, depth: int) -> Read:
        if name in self._open:
            raise _unsound("a type contains itself")
        self._named[name] = schema
        self._open.add(name)
        try:
            match schema:
                case {"type": "enum", "symbols": [_, *_] as symbols}:
                    return _enum(symbols)
                case {"type": "fixed", "size": int(size)} if size > 0:
                    return _fixed(size)
                case {"fields": [_, *_] as fields}:
                    return _record([(field["name"], self.read(field["type"], depth + 1)) for field in fields])
        finally:
            self._open.discard(name)
        raise _unsound("a type takes no bytes, or is not complete")


def _unsound(why: str) -> SchemaError:
    return SchemaError(f"The schema cannot be read by: {why}.", "Write with a schema of plain, finite types.")


def _missing(_data: bytes, _at: int) -> tuple[None, int]:
    raise TornError("the schema has no such field")


def _null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _long(data: bytes, at: int) -> tuple[int, int]:
    # Times in microseconds take eight bytes: their groups of seven bits are drawn together at once.
    word = int.from_bytes(data[at : at + 8], "little")
    if word & 0x8080_8080_8080_8080 == 0x0080_8080_8080_8080:
        word = (word & 0x007F_007F_007F_007F) | ((word & 0x7F00_7F00_7F00_7F00) >> 1)
        word = (word & 0x0000_3FFF_0000_3FFF) | ((word & 0x3FFF_0000_3FFF_0000) >> 2)
        word = (word & 0x0FFF_FFFF) | ((word & 0x0FFF_FFFF_0000_0000) >> 4)
        return (word >> 1) ^ -(word & 1), at + 8
    byte = data[at]
    at += 1
    number, shift = byte & 0x7F, 7
    while byte > 0x7F:
        if shift > 63:
            raise TornError("a number takes more than ten bytes")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    if number >> 64:
        raise TornError("a number takes more than 64 bits")
    return (number >> 1) ^ -(number & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    number, at = _long(data, at)
    if not -(1 << 31) <= number < 1 << 31:
        raise TornError("a number takes more than 32 bits")
    return number, at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise TornError("a truth value is neither 0 nor 1")
    return data[at] == 1, at + 1


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Where the bytes begin and end whose length stands at `at`."""
    size = data[at]
    if size & 0x81:  # not a positive number in one byte
        size, at = _long(data, at)
        if size < 0:
            raise TornError("a length is negative")
    else:
        size, at = size >> 1, at + 1
    end = at + size
    if end > len(data):
        raise TornError("it ends too early")
    return at, end


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    at, end = _length(data, at)
    return data[at:end], end


def _text(data: bytes, at: int) -> tuple[str, int]:
    at, end = _length(data, at)
    return data[at:end].decode(), end


def _number(form: str) -> Read:
    packed = struct.Struct(form)

    def read(data: bytes, at: int) -> tuple[float, int]:
        end = at + packed.size
        if end > len(data):
            raise TornError("it ends too early")
        return packed.unpack_from(data, at)[0], end

    return read


def _fixed(size: int) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise TornError("it ends too early")
        return data[at:end], end

    return read


def _enum(symbols: list[str]) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        number, at = _long(data, at)
        if not 0 <= number < len(symbols):
            raise TornError("an enum has no such symbol")
        return symbols[number], at

    return read


def _union(branches: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        number, at = _long(data, at)
        if not 0 <= number < len(branches):
            raise TornError("a union has no such branch")
        return branches[number](data, at)

    if len(branches) != 2 or branches[0] is not _null:
        return read
    other = branches[1]

    def read_optional(data: bytes, at: int) -> tuple[Any, int]:
        if data[at] == 0:
            return None, at + 1
        return other(data, at + 1) if data[at] == 2 else read(data, at)

    return read_optional


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while data[at]:
            count, at, end = _block(data, at)
            for _ in range(count):
                value, at = item(data, at)
                items.append(value)
            _check_end(at, end)
        return items, at + 1

    return read


def _map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        total = 0
        while data[at]:
            count, at, end = _block(data, at)
            total += count
            for _ in range(count):
                name, at = _text(data, at)
                items[name], at = item(data, at)
            _check_end(at, end)
        if total != len(items):
            raise TornError("a map names a key twice")
        return items, at + 1

    return read


def _block(data: bytes, at: int) -> tuple[int, int, int | None]:
    """A block of an array or map: how many items, where they begin, and where they end if that is said."""
    count, at = _long(data, at)
    end = None
    if count < 0:
        size, at = _long(data, at)
        count, end = -count, at + size
    if count > len(data) - at:
        raise TornError("a count is larger than what is left")
    return count, at, end


def _check_end(at: int, end: int | None) -> None:
    if end is not None and at != end:
        raise TornError("a block is not as long as it says")


def _record(fields: list[tuple[str, Read]]) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        for name, field in fields:
            values[name], at = field(data, at)
        return values, at

    return read


_PRIMITIVES: dict[str, Read] = {
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _number("<f"),
    "double": _number("<d"),
    "bytes": _bytes,
    "string": _text,
}
