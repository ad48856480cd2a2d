"""A record's reader as one generated function, for the records that come by the million.

It reads what `strict` reads, and gives up wherever it is not sure: `strict` then reads the datum anew, and
says what is wrong with it.  So nothing is accepted here that `strict` refuses (a test compares the two).
Texts, with null too, and lists and maps of texts are read in line; other types by the readers passed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# From (bytes, where the value begins) to (value, where it ends).
Read = Callable[[bytes, int], tuple[Any, int]]
# From (bytes, start of the datum) to its fields, or None where it is not sure.
Fields = Callable[[bytes, int], dict[str, Any] | None]


@dataclass(frozen=True)
class FieldCode:
    """A field: its type as in the schema, and a reader of it that raises where it is wrong."""

    name: str
    type: object
    read: Read


def generated(fields: Sequence[FieldCode], read_text: Read, read_long: Read) -> Fields:
    """A function that reads these fields one after the other.  `read_text` and `read_long` read what is
    longer than usual.  The function raises `IndexError`, `ValueError` or nothing; thread-safe."""
    lines = ["def read(data, at):"]
    for number, field in enumerate(fields):
        lines += (f"    {line}" for line in _field(field.type, f"v{number}", f"read{number}"))
    # Names come from a schema that anybody may have written: they are quoted, never code.
    items = ", ".join(f"{field.name!r}: v{number}" for number, field in enumerate(fields))
    lines.append(f"    return {{{items}}} if at == len(data) else None")
    names: dict[str, Any] = {f"read{number}": field.read for number, field in enumerate(fields)}
    names |= {"read_text": read_text, "read_long": read_long}
    exec("\n".join(lines), names)  # noqa: S102
    read: Fields = names["read"]
    return read


def _field(kind: object, value: str, read: str) -> list[str]:
    match kind:
        case "string":
            return _text(value)
        case "long":
            return [f"{value}, at = read_long(data, at)"]
        case ["null", "string" | "long" as other]:
            inner = _text(value) if other == "string" else [f"{value}, at = read_long(data, at)"]
            return [
                "branch = data[at]",
                "if branch == 0:",
                f"    {value} = None",
                "    at += 1",
                "elif branch == 2:",
                "    at += 1",
                *(f"    {line}" for line in inner),
                "else:",
                f"    {value}, at = {read}(data, at)",
            ]
        case {"type": "array", "items": "string"}:
            return _texts(value, read, "[]", [*_text("item"), f"{value}.append(item)"])
        case {"type": "map", "values": "string"}:
            return _texts(value, read, "{}", [*_text("name"), *_text("item"), f"{value}[name] = item"])
        case {"type": "string" | "long" as inner}:
            return _field(inner, value, read)
    return [f"{value}, at = {read}(data, at)"]


def _texts(value: str, read: str, empty: str, item: list[str]) -> list[str]:
    # One block, which does not say its size, of fewer than 64 items.
    return [
        "count = data[at]",
        "if count & 0x81:",
        f"    {value}, at = {read}(data, at)",
        "else:",
        "    at += 1",
        f"    {value} = {empty}",
        "    if count:",
        "        for _ in range(count >> 1):",
        *(f"            {line}" for line in item),
        f"        if data[at] or len({value}) != count >> 1:",
        "            return None",
        "        at += 1",
    ]


def _text(value: str) -> list[str]:
    # A length in one byte; that the text ends within the bytes shows at the end of the datum.
    return [
        "size = data[at]",
        "if size & 0x81:",
        f"    {value}, at = read_text(data, at)",
        "else:",
        "    at += 1",
        "    end = at + (size >> 1)",
        f"    {value} = data[at:end].decode()",
        "    at = end",
    ]
