"""The hash of a row's leaf as a ClickHouse expression: the normal form (`leaf`) made of the table's columns.

It spells out Avro's binary encoding, since no function of ClickHouse's gives a row's datum.  The length of a
text below 256 bytes, as nearly all are, is looked up; other numbers are made seven bits a byte.
"""

from keytrail.schemas.varint import zigzag
from keytrail.sinks.proof.leaf import FIELDS, NORMAL, VERSION, Field

_SHORT = 256
_LENGTH_BYTES = 4  # of a length below 128 MB, more than any record
_LONG_BYTES = 10
_NULL = "'\\x00'"
_PRESENT = "'\\x02'"
_END = "'\\x00'"


def _bytes(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"


def _array(values: list[bytes]) -> str:
    return f"[{', '.join(map(_bytes, values))}]"


_SIZES = _array([zigzag(size) for size in range(_SHORT)])
_OPTIONAL_SIZES = _array([b"\x02" + zigzag(size) if size else b"\0" for size in range(_SHORT)])

# Stands before the SELECT of a query that has one of these in it.
WITH = f"WITH {_SIZES} AS text_sizes, {_OPTIONAL_SIZES} AS optional_sizes"


def _varint(number: str, most: int) -> str:
    """`number` is zigzagged already, and unsigned."""
    spelled = [
        f"char({', '.join(_digit(number, at, last=at == size - 1) for at in range(size))})"
        for size in range(1, most + 1)
    ]
    cases = [f"{number} < {1 << 7 * size}, {digits}" for size, digits in enumerate(spelled[:-1], 1)]
    return f"multiIf({', '.join(cases)}, {spelled[-1]})"


def _digit(number: str, at: int, *, last: bool) -> str:
    digit = f"bitAnd(bitShiftRight({number}, {7 * at}), 127)"
    return digit if last else f"{digit} + 128"


def _long(number: str) -> str:
    return _varint(f"toUInt64(bitXor(bitShiftLeft({number}, 1), bitShiftRight({number}, 63)))", _LONG_BYTES)


def _length(length: str) -> str:
    return _varint(f"toUInt32({length} * 2)", _LENGTH_BYTES)


def _text(column: str) -> str:
    """Two arguments of `concat`."""
    size = f"length({column})"
    return f"if({size} < {_SHORT}, text_sizes[{size} + 1], {_length(size)}), {column}"


def _optional_text(column: str) -> str:
    """Two arguments of `concat`."""
    size = f"length({column})"
    long = f"concat({_PRESENT}, {_length(size)})"
    return f"if({size} < {_SHORT}, optional_sizes[{size} + 1], {long}), {column}"


def _items(column: str, each: str) -> str:
    block = f"concat({_length(f'length({column})')}, arrayStringConcat({each}), {_END})"
    return f"if(empty({column}), {_END}, {block})"


def _column(field: Field) -> str:
    column = f"`{field.name}`"
    match field.type:
        case "string" if field.name == "event_id":
            return _text(f"toString({column})")
        case "string":
            return _text(column)
        case ["null", "string"]:
            return _optional_text(column)
        case "int":
            return _long(f"toInt64({column})")
        case "long" if field.is_time:
            return _long(f"toUnixTimestamp64Micro({column})")
        case "long":
            return _long(column)
        case ["null", "long"] if field.is_time:
            time = _long(f"toUnixTimestamp64Micro(assumeNotNull({column}))")
            return f"if(isNull({column}), {_NULL}, concat({_PRESENT}, {time}))"
        case {"type": "array", "items": "string"}:
            return _items(column, f"arrayMap(item -> concat({_text('item')}), {column})")
        case {"type": "map", "values": "string"}:
            each = f"concat({_text('name')}, {_text('item')})"
            return _items(column, f"arrayMap((name, item) -> {each}, mapKeys({column}), mapValues({column}))")
    raise TypeError(f"{field.name} has a type that no leaf is made of")


_HEAD = (
    f"{_bytes(bytes([0, VERSION, NORMAL]))}, "
    "unhex(leftPad(hex(toUInt32(kafka_partition)), 8, '0')), "
    "unhex(leftPad(hex(toUInt64(kafka_offset)), 16, '0'))"
)

_DATUM = ", ".join(map(_column, FIELDS))

# Of a row of `events`: its datum in normal form, and its leaf's hash, 32 bytes.
DATUM = f"concat({_DATUM})"
LEAF_HASH = f"SHA256(concat({_HEAD}, {_DATUM}))"
