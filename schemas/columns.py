"""Many datums of one schema read at once, as columns: where each text lies, and each number.

A reader for the datums that come by the million.  It takes a step for each field, not for each datum,
and is sure of a datum or gives it up: `strict` then reads that one by itself, and says what is wrong with
it.  It is sure of nothing that `strict` refuses (a test compares the two), nor of texts beyond ASCII.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keytrail.schemas.record_code import FieldCode

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Rows = slice | Ints

NULL = -1
_ALL = slice(None)
_PADDING = b"\0" * 16
_INT_END = 1 << 31
_MOST_BITS = 56  # in which the eight groups of seven bits of a time, and any shorter number, begin


@dataclass(frozen=True)
class Columns:
    """What was read of the datums in `data`.  Only rows that are `sure` mean anything.

    `starts` and `ends` hold where a text, list or map lies in `data`, `NULL` for null; `numbers` hold longs
    and ints, 0 for null, and the numbers of enums' symbols; `counts` how many items a list or map has, and
    `firsts` where the texts of its first lie.
    """

    data: bytes
    sure: Flags
    starts: dict[str, Ints]
    ends: dict[str, Ints]
    numbers: dict[str, Ints]
    counts: dict[str, Ints]
    firsts: dict[str, Sequence[Ints]]


class ColumnReader:
    """Reads datums of one record schema.  Thread-safe."""

    def __init__(self, fields: Sequence[FieldCode]) -> None:
        self._steps = [(field, _step(field.type)) for field in fields]

    @staticmethod
    def reads(fields: Sequence[FieldCode]) -> bool:
        """Whether all fields are of types that it knows."""
        return all(_step(field.type) is not None for field in fields)

    def read(self, data: bytes, starts: Ints, ends: Ints) -> Columns:
        """The datums of `data` that lie from `starts` to `ends`, one behind the other, none empty."""
        reading = _Reading(data, starts, ends)
        for field, step in self._steps:
            if step is not None:
                step(reading, field)
        return reading.columns()


class _Reading:
    """One pass over the datums: where each one's next field begins, and which are in doubt."""

    def __init__(self, data: bytes, starts: Ints, ends: Ints) -> None:
        self.data = data
        self._bytes = np.frombuffer(data + _PADDING, dtype=np.uint8)
        self._first = starts
        self._at = starts.copy()
        self._last = ends
        self._doubt = np.zeros(len(starts), dtype=bool)
        # Bytes above 127 that belong to numbers; all others are in texts, which are then not ASCII.
        self._high = np.zeros(len(starts), dtype=np.int64)
        self._starts: dict[str, Ints] = {}
        self._ends: dict[str, Ints] = {}
        self._numbers: dict[str, Ints] = {}
        self._counts: dict[str, Ints] = {}
        self._firsts: dict[str, Sequence[Ints]] = {}

    def columns(self) -> Columns:
        high = np.add.reduceat((self._bytes[: len(self.data)] >> 7), self._first, dtype=np.int64)
        sure = ~self._doubt & (self._at == self._last) & (high == self._high)
        return Columns(self.data, sure, self._starts, self._ends, self._numbers, self._counts, self._firsts)

    def text(self, field: FieldCode) -> None:
        self._starts[field.name], self._ends[field.name] = self._read_text(_ALL)

    def number(self, field: FieldCode) -> None:
        self._numbers[field.name] = self._read_number(_ALL)

    def small_number(self, field: FieldCode) -> None:
        """A number of 32 bits."""
        numbers = self._read_number(_ALL)
        self._doubt |= (numbers < -_INT_END) | (numbers >= _INT_END)
        self._numbers[field.name] = numbers

    def optional_text(self, field: FieldCode) -> None:
        starts, ends = np.full(len(self._at), NULL), np.full(len(self._at), NULL)
        if len(rows := self._present()):
            starts[rows], ends[rows] = self._read_text(_ALL if len(rows) == len(starts) else rows)
        self._starts[field.name], self._ends[field.name] = starts, ends

    def optional_number(self, field: FieldCode) -> None:
        numbers, nulls = np.zeros(len(self._at), dtype=np.int64), np.full(len(self._at), NULL)
        if len(rows := self._present()):
            numbers[rows], nulls[rows] = self._read_number(rows), 0
        self._numbers[field.name], self._starts[field.name] = numbers, nulls

    def symbol(self, field: FieldCode) -> None:
        """An enum's symbol, by its number."""
        numbers = self._read_number(_ALL)
        symbols = len(field.type["symbols"]) if isinstance(field.type, dict) else 0
        self._doubt |= (numbers < 0) | (numbers >= symbols)
        self._numbers[field.name] = numbers

    def texts(self, field: FieldCode) -> None:
        self._items(field, 1)

    def map(self, field: FieldCode) -> None:
        self._items(field, 2)

    def _items(self, field: FieldCode, texts: int) -> None:
        """One block, which does not say its size, of fewer than 64 items."""
        starts = self._next(_ALL)
        count = self._bytes[starts].astype(np.int64)
        self._doubt |= count & 0x81 > 0
        self._at = starts + 1
        left = np.where(self._doubt, 0, count >> 1)
        filled = np.flatnonzero(left)
        if texts == 2:
            self._check_names(field, starts, np.flatnonzero(left > 1))
        self._counts[field.name] = left.copy()
        firsts = [np.full(len(left), NULL) for _ in range(2 * texts)]
        if len(filled):
            for number in range(texts):
                firsts[2 * number][filled], firsts[2 * number + 1][filled] = self._read_text(filled)
        self._firsts[field.name] = firsts
        left[filled] -= 1
        while len(rows := np.flatnonzero(left)):
            for _ in range(texts):
                self._read_text(rows)
            left[rows] -= 1
        if len(filled):
            at = self._next(filled)
            self._doubt[filled] |= self._bytes[at] != 0
            self._at[filled] = at + 1
        self._starts[field.name], self._ends[field.name] = starts, self._at.copy()

    def _check_names(self, field: FieldCode, starts: Ints, rows: Ints) -> None:
        """Of a map with several names none may come twice."""
        for row in rows.tolist():
            try:
                field.read(self.data, int(starts[row]))
            except (IndexError, ValueError):
                self._doubt[row] = True

    def _present(self) -> Ints:
        """The rows whose optional field is not null."""
        at = self._next(_ALL)
        branch = self._bytes[at]
        self._doubt |= (branch != 0) & (branch != 2)
        self._at = at + 1
        return np.flatnonzero(branch == 2)

    def _read_text(self, rows: Rows) -> tuple[Ints, Ints]:
        size = self._read_number(rows)
        last = self._last[rows]
        start = np.minimum(self._at[rows], last)
        end = start + size
        wrong = (size < 0) | (end > last)
        if wrong.any():
            self._doubt[rows] |= wrong
            end = np.where(wrong, last, end)
        self._at[rows] = end
        return start, end

    def _next(self, rows: Rows) -> Ints:
        """Where the next byte of these rows is; a row that has none left is in doubt."""
        at, last = self._at[rows], self._last[rows]
        over = at >= last
        if over.any():
            self._doubt[rows] |= over
        return np.minimum(at, last)

    def _read_number(self, rows: Rows) -> Ints:
        at = self._next(rows)
        byte = self._bytes[at].astype(np.int64)
        at += 1
        more = byte > 0x7F
        number = byte & 0x7F
        shift = 7
        while more.any():
            if shift > _MOST_BITS:
                self._doubt[rows] |= more
                break
            self._high[rows] += more
            byte = self._bytes[at].astype(np.int64)
            number |= np.where(more, (byte & 0x7F) << shift, 0)
            at += more
            more &= byte > 0x7F
            shift += 7
        self._at[rows] = at
        return (number >> 1) ^ -(number & 1)


Step = Callable[[_Reading, FieldCode], None]


def _step(kind: object) -> Step | None:
    match kind:
        case "string":
            return _Reading.text
        case "long":
            return _Reading.number
        case "int":
            return _Reading.small_number
        case ["null", other] if (inner := _step(other)) is _Reading.text:
            return _Reading.optional_text
        case ["null", other] if (inner := _step(other)) is _Reading.number:
            return _Reading.optional_number
        case {"type": "enum", "symbols": [_, *_]}:
            return _Reading.symbol
        case {"type": "array", "items": "string"}:
            return _Reading.texts
        case {"type": "map", "values": "string"}:
            return _Reading.map
        case {"type": "string" | "long" as inner}:
            return _step(inner)
    return None
