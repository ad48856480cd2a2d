"""Events made from columns: what most rules ask for is read at once, the rest when it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from keytrail.schemas.columns import NULL, Columns, Flags, Ints
from keytrail.schemas.records import Event
from keytrail.schemas.wire import HEADER_LENGTH
from keytrail.stream.reading.writers import EventDecoder

_TEXTS = (
    *("event_id", "service", "environment", "actor_id", "key_id", "key_alias", "action", "subject"),
    *("role", "resource", "outcome", "source_ip", "producer_id"),
)
_NUMBERS = ("occurred_at", "recorded_at", "sequence")
_NAMES = (*_TEXTS, *_NUMBERS, "attributes", "_record")
_READ_AT_ONCE = frozenset(_NAMES)


class LateEvent(Event):
    """An event whose other fields are read from its record when one of them is asked for the first time."""

    _record: tuple[Callable[[bytes, int], Event], bytes]


class _Late:
    """A field that is not there yet: an instance's own value, once it has one, comes before this."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, event: LateEvent | None, _owner: type) -> Any:
        if event is None:
            return self
        values = vars(event)
        decode, value = values["_record"]
        values.update(vars(decode(value, HEADER_LENGTH)))
        return values[self._name]


for _field in fields(Event):
    if _field.name not in _READ_AT_ONCE:
        setattr(LateEvent, _field.name, _Late(_field.name))


def late_events(
    columns: Columns,
    rows: Ints,
    values: Sequence[bytes],
    decoder: EventDecoder,
) -> Iterator[LateEvent]:
    """The events of these rows, all of them sure, in order; `values` are their records'."""
    decode, read_attributes = decoder.decode, decoder.read_attributes
    text = columns.data.decode("latin-1")  # the rows' texts are ASCII
    texts = (_texts(text, columns, name, rows) for name in _TEXTS)
    numbers = (columns.numbers[name][rows].tolist() for name in _NUMBERS)
    attributes = _attributes(text, columns, rows, read_attributes)
    records = ((decode, value) for value in values)
    for found in zip(*texts, *numbers, attributes, records, strict=True):
        event = object.__new__(LateEvent)
        vars(event).update(zip(_NAMES, found, strict=True))
        yield event


def _attributes(
    text: str, columns: Columns, rows: Ints, read: Callable[[bytes, int], dict[str, str]]
) -> Iterator[dict[str, str]]:
    starts, counts = columns.starts["attributes"][rows], columns.counts["attributes"][rows]
    firsts = zip(*(first[rows].tolist() for first in columns.firsts["attributes"]), strict=True)
    for start, count, (name, name_end, value, value_end) in zip(
        starts.tolist(), counts.tolist(), firsts, strict=True
    ):
        if count == 0:
            yield {}
        elif count == 1:
            yield {text[name:name_end]: text[value:value_end]}
        else:
            yield read(columns.data, start)


def _texts(text: str, columns: Columns, name: str, rows: Ints) -> list[str | None]:
    starts, ends = columns.starts[name][rows], columns.ends[name][rows]
    if not np.any(starts != NULL):
        return [None] * len(rows)
    if np.all(starts != NULL):
        return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    return [
        None if start < 0 else text[start:end]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def are_uuids(columns: Columns, name: str) -> Flags:
    """Of which rows the text `name` has a UUID's form."""
    starts, sizes = columns.starts[name], columns.ends[name] - columns.starts[name]
    fits = columns.sure & (sizes == len(_FORM))
    data = np.frombuffer(columns.data, dtype=np.uint8)
    kinds = _KIND[data[np.where(fits, starts, 0)[:, None] + np.arange(len(_FORM))]] if fits.any() else _FORM
    are: Flags = fits & (kinds == _FORM).all(axis=-1)
    return are


def _kinds() -> npt.NDArray[np.uint8]:
    """By byte: 1 for a hexadecimal digit, 2 for a hyphen."""
    kinds = np.zeros(256, dtype=np.uint8)
    kinds[list(b"0123456789abcdefABCDEF")] = 1
    kinds[ord("-")] = 2
    return kinds


_KIND = _kinds()
_FORM = _KIND[list(b"00000000-0000-0000-0000-000000000000")]
