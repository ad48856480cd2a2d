"""The hash of a row's leaf as a ClickHouse expression: the normal form (`leaf`) made of the table's columns.

It spells out Avro's binary encoding, since no function of ClickHouse's gives a row's datum.  ClickHouse needs
a sixth of a second to analyse the whole and evaluates each branch at a price, so it is kept short and without
branches where it can be.
"""

from keytrail.schemas.varint import zigzag
from keytrail.sinks.proof.leaf import FIELDS, NORMAL, VERSION, Field

_LONG_BYTES = 10
# Of a length, which is doubled (zigzag): below 2^20.  An event is smaller (`reading.MAX_VALUE_BYTES`), and a
# row with a longer text never has another's leaf, since that one would have to be as long.
_LENGTH_BYTES = 3
_NULL = "'\\x00'"
_PRESENT = "'\\x02'"
_END = "'\\x00'"


def _bytes(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"


# What the expression speaks of more than once.
_NAMES: dict[str, str] = {}


def _named(name: str, meaning: str) -> str:
    _NAMES[name] = meaning
    return name


def _digit(number: str, at: int) -> str:
    return f"bitAnd(bitShiftRight({number}, {7 * at}), 127)"


def _long(name: str, number: str) -> str:
    """All ten digits there could be, of which the last one that counts is spelled anew."""
    signed = _named(f"{name}_signed", number)
    whole = _named(
        f"{name}_number", f"toUInt64(bitXor(bitShiftLeft({signed}, 1), bitShiftRight({signed}, 63)))"
    )
    more = " + ".join(f"({whole} >= {1 << 7 * size})" for size in range(1, _LONG_BYTES))
    last = _named(f"{name}_last", more)
    digits = ", ".join(f"{_digit(whole, at)} + 128" for at in range(_LONG_BYTES - 1))
    return f"substring(char({digits}), 1, {last}), char(bitAnd(bitShiftRight({whole}, 7 * {last}), 127))"


def _length(size: str) -> tuple[str, str]:
    """All digits there could be, as arguments of `char`, and how many of them count."""
    doubled = f"({size} * 2)"
    more = [f"({doubled} >= {1 << 7 * at})" for at in range(1, _LENGTH_BYTES)]
    digits = [f"bitOr({_digit(doubled, at)}, {more[at]} * 128)" for at in range(_LENGTH_BYTES - 1)]
    digits.append(f"bitShiftRight({doubled}, {7 * (_LENGTH_BYTES - 1)})")
    return ", ".join(digits), " + ".join(["1", *more])


def _count(size: str) -> str:
    digits, count = _length(size)
    return f"substring(char({digits}), 1, {count})"


def _text(column: str, size: str) -> str:
    """Two arguments of `concat`."""
    return f"{_count(size)}, {column}"


def _optional_text(column: str, size: str) -> str:
    """Two arguments of `concat`; an empty text is null, one byte."""
    digits, count = _length(size)
    return f"substring(char(({size} > 0) * 2, {digits}), 1, ({size} > 0) + {count}), {column}"


def _items(size: str, each: str) -> str:
    return f"if({size} = 0, {_END}, concat({_count(size)}, arrayStringConcat({each}), {_END}))"


def _column(field: Field) -> str:
    """An argument or two of `concat`."""
    name, column = field.name, f"`{field.name}`"
    match field.type:
        case "string" if name == "event_id":
            return f"{_bytes(zigzag(36))}, toString({column})"
        case "string":
            return _text(column, _size(field))
        case ["null", "string"]:
            return _optional_text(column, _size(field))
        case "int":
            return _long(name, f"toInt64({column})")
        case "long" if field.is_time:
            return _long(name, f"toUnixTimestamp64Micro({column})")
        case "long":
            return _long(name, column)
        case ["null", "long"] if field.is_time:
            time = _long(name, f"toUnixTimestamp64Micro(assumeNotNull({column}))")
            return f"if(isNull({column}), {_NULL}, concat({_PRESENT}, {time}))"
        case {"type": "array", "items": "string"}:
            item = f"concat({_text('item', 'length(item)')})"
            return _items(_size(field), f"arrayMap(item -> {item}, {column})")
        case {"type": "map", "values": "string"}:
            item = f"concat({_text('name', 'length(name)')}, {_text('item', 'length(item)')})"
            each = f"arrayMap((name, item) -> {item}, mapKeys({column}), mapValues({column}))"
            return _items(_size(field), each)
    raise TypeError(f"{name} has a type that no leaf is made of")


def _size(field: Field) -> str:
    return _named(f"{field.name}_size", f"length(`{field.name}`)")


_HEAD = (
    f"{_bytes(bytes([0, VERSION, NORMAL]))}, "
    "unhex(leftPad(hex(toUInt32(kafka_partition)), 8, '0')), "
    "unhex(leftPad(hex(toUInt64(kafka_offset)), 16, '0'))"
)
_DATUM = ", ".join(map(_column, FIELDS))

# Of a row of `events`: its datum in normal form, and its leaf's hash, 32 bytes.
DATUM = f"concat({_DATUM})"
LEAF_HASH = f"SHA256(concat({_HEAD}, {_DATUM}))"

# Stands before the SELECT of a query that has one of them in it.
WITH = "WITH " + ", ".join(f"{meaning} AS {name}" for name, meaning in _NAMES.items())
