"""Avro encoding of flat records: the same bytes as `schemas.avro.encoder`, about four times as fast.

Encoding is what limits how fast events can be published, so the two records that producers
write have an encoder that knows only what they are made of: strings, longs and booleans, those
or null, arrays of strings and maps of strings.  A property test holds it to fastavro's bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, cast

from fastavro.types import Schema

from keytrail.schemas.errors import KeytrailError, SchemaError
from keytrail.schemas.varint import zigzag

Encode = Callable[[object], bytes]
Write = Callable[[Any], bytes]


class UnencodableError(KeytrailError):
    """A record holds a value that its schema has no place for."""


def flat_encoder(schema: Schema) -> Encode:
    """A function from a record to its datum, for a schema (from `avro.parse`) of flat fields.

    Thread-safe.  The function raises `UnicodeEncodeError` for text that UTF-8 cannot hold and
    `UnencodableError` for a value of the wrong type.  Raises `SchemaError` for a schema that
    is not flat.
    """
    fields = cast(Mapping[str, Any], schema)["fields"]
    names = [field["name"] for field in fields]
    writers = [writer_of(field["type"]) for field in fields]
    joined = _joined(names, writers)

    def encode(record: object) -> bytes:
        try:
            return joined(record)
        except UnicodeEncodeError:
            raise
        except _WRONG as error:
            raise UnencodableError(
                f"The field {_culprit(names, writers, record)} holds a value of the wrong type.",
                "Times and sequence are whole numbers of 64 bits, everything else is text.",
            ) from error

    return encode


def _joined(names: list[str], writers: list[Write]) -> Encode:
    """One generated expression for the whole record: a loop over its fields takes twice as long."""
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        raise SchemaError("A field's name is no identifier.", "Use schemas.avro.encoder.")
    parts: list[str] = []
    scope: dict[str, Any] = {"ABSENT": b"\0"}
    for number, (name, write) in enumerate(zip(names, writers, strict=True)):
        scope[f"write{number}"] = write.inner if isinstance(write, OrNull) else write
        written = f"write{number}(record.{name})"
        if isinstance(write, OrNull):
            written = f"ABSENT if (value := record.{name}) is None else b'\\2' + write{number}(value)"
        parts.append(written)
    source = f"def encode(record): return b''.join(({', '.join(parts)},))"
    exec(source, scope)  # noqa: S102 - names are identifiers, checked above
    return cast(Encode, scope["encode"])


_WRONG = (AttributeError, TypeError, ValueError, OverflowError)


def _culprit(names: list[str], writers: list[Write], record: object) -> str:
    for name, write in zip(names, writers, strict=True):
        try:
            write(getattr(record, name))
        except _WRONG:
            return name
    raise AssertionError("a record failed to encode and none of its fields does")


def writer_of(kind: object) -> Write:
    """A function from a value to its bytes, for one of the types that flat records are made of."""
    match kind:
        case "string":
            return _text
        case "long":
            return _long
        case "boolean":
            return _boolean
        case ["null", inner]:
            return OrNull(writer_of(inner))
        case {"type": "array", "items": "string"}:
            return _texts
        case {"type": "map", "values": "string"}:
            return _text_map
        case {"type": str(inner)}:
            return writer_of(inner)
    raise SchemaError(f"No flat encoding for the Avro type {kind}.", "Use schemas.avro.encoder.")


SHORT = [zigzag(number) for number in range(4096)]


def _count(number: int) -> bytes:
    return SHORT[number] if number < 4096 else zigzag(number)


def _long(value: int) -> bytes:
    if type(value) is not int:
        raise TypeError
    return quick_zigzag(value)


def quick_zigzag(number: int) -> bytes:
    """As `varint.zigzag`, and quicker for times in microseconds and for numbers below a million."""
    rest = number << 1
    if 1 << 49 <= rest < 1 << 56:
        return bytes(
            (
                *(rest & 0x7F | 0x80, rest >> 7 & 0x7F | 0x80, rest >> 14 & 0x7F | 0x80),
                *(rest >> 21 & 0x7F | 0x80, rest >> 28 & 0x7F | 0x80, rest >> 35 & 0x7F | 0x80),
                *(rest >> 42 & 0x7F | 0x80, rest >> 49),
            )
        )
    if 1 << 14 <= rest < 1 << 21:
        return bytes((rest & 0x7F | 0x80, rest >> 7 & 0x7F | 0x80, rest >> 14))
    return zigzag(number)


def _boolean(value: bool) -> bytes:
    if value is True or value is False:
        return b"\1" if value else b"\0"
    raise TypeError


def _text(value: str) -> bytes:
    encoded = value.encode()
    size = len(encoded)
    return (SHORT[size] if size < 4096 else zigzag(size)) + encoded


@dataclass(frozen=True)
class OrNull:
    """Writes null or what `inner` writes."""

    inner: Write

    def __call__(self, value: Any) -> bytes:
        return b"\0" if value is None else b"\2" + self.inner(value)


def _texts(values: list[str]) -> bytes:
    if not isinstance(values, (list, tuple)):
        raise TypeError
    return _block(len(values), [_text(value) for value in values])


def _text_map(values: dict[str, str]) -> bytes:
    return _block(len(values), [_text(name) + _text(value) for name, value in values.items()])


def _block(count: int, items: list[bytes]) -> bytes:
    return _count(count) + b"".join(items) + b"\0" if count else b"\0"
