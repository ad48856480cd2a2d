"""Making an event fit to be sent: text that UTF-8 cannot hold is repaired, one too large is shortened.

Both leave a mark in the event's attributes, so that nobody takes the rest for the whole.  The
same event always gives the same bytes.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import pairwise

from keytrail.producers.datum import Encode
from keytrail.schemas.records import Event

# Kafka's default limit for a message is 1,048,576 bytes on the broker and 1,000,000 in
# librdkafka; the rest is for the wire header, the batch, and the fields that enrichment adds.
LIMIT_BYTES = 900_000
TRUNCATED = "keytrail.truncated"
REPAIRED = "keytrail.repaired"
_MARK_BYTES = 2_000
_MARK_ROOM = 3_000

_FREE_TEXTS = ("before", "after", "error", "user_agent", "reason")
_OTHER_TEXTS = tuple(
    field.name for field in fields(Event) if field.type in (str, str | None) and field.name not in _FREE_TEXTS
)


def fit(event: Event, encode: Encode, limit_bytes: int = LIMIT_BYTES) -> tuple[Event, bytes]:
    """The event as it can be sent, and its datum.

    Datum and key (`event.whose`) together take at most `limit_bytes`, which must be 10,000 or
    more.  Raises `UnencodableError` for values of the wrong type.
    """
    try:
        datum = encode(event)
    except UnicodeEncodeError:
        event = repaired(event)
        datum = encode(event)
    excess = len(datum) + len(event.whose.encode()) - limit_bytes
    if excess > 0:
        event = _shortened(event, excess + _MARK_ROOM)
        datum = encode(event)
    return event, datum


def repaired(event: Event) -> Event:
    """The event with each lone surrogate replaced by U+FFFD; `keytrail.repaired` names the fields."""
    texts = {
        name: text for name in (*_FREE_TEXTS, *_OTHER_TEXTS) if isinstance(text := vars(event)[name], str)
    }
    changed = {name: clean for name, text in texts.items() if (clean := _clean(text)) != text}
    names = set(changed)
    permissions = [_clean(text) for text in event.permissions]
    if permissions != event.permissions:
        names.add("permissions")
    attributes: dict[str, str] = {}
    for name, text in event.attributes.items():
        clean_name = _clean(name)
        while clean_name in attributes:
            clean_name += "_"
        attributes[clean_name] = _clean(text)
        if (clean_name, attributes[clean_name]) != (name, text):
            names.add(f"attributes.{clean_name}")
    attributes[REPAIRED] = _mark(names)
    return replace(event, permissions=permissions, attributes=attributes, **changed)  # type: ignore[arg-type]


def _clean(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _shortened(event: Event, excess: int) -> Event:
    """The event with at least `excess` bytes cut: of free text first, of lists next, of the rest last."""
    cut: set[str] = set()
    attributes = {n: t for n, t in event.attributes.items() if n not in (TRUNCATED, REPAIRED)}
    marks = {name: text for name, text in event.attributes.items() if name == REPAIRED}
    permissions = event.permissions
    changed: dict[str, str] = {}

    free = _sizes(event, _FREE_TEXTS) | {f"attributes.{n}": len(t.encode()) for n, t in attributes.items()}
    level = _level(free.values(), excess)
    for name in [name for name, size in free.items() if size > level]:
        cut.add(name)
        excess -= free[name] - level
        if name.startswith("attributes."):
            key = name.removeprefix("attributes.")
            attributes[key] = _cut(attributes[key], level)
        else:
            changed[name] = _cut(vars(event)[name], level)

    if excess > 0:
        items = [*permissions], [name + text for name, text in attributes.items()]
        sizes = [sum(len(item.encode()) for item in each) for each in items]
        level = _level(sizes, excess)
        permissions = permissions[: _how_many(items[0], level)]
        attributes = dict(list(attributes.items())[: _how_many(items[1], level)])
        cut |= {n for n, size in zip(("permissions", "attributes"), sizes, strict=True) if size > level}
        excess -= sum(max(0, size - level) for size in sizes)

    if excess > 0:
        other = _sizes(event, _OTHER_TEXTS)
        level = _level(other.values(), excess)
        changed |= {name: _cut(vars(event)[name], level) for name, size in other.items() if size > level}
        cut |= {name for name, size in other.items() if size > level}

    attributes |= marks | {TRUNCATED: _mark(cut)}
    return replace(event, permissions=permissions, attributes=attributes, **changed)  # type: ignore[arg-type]


def _sizes(event: Event, names: Iterable[str]) -> dict[str, int]:
    return {name: len(text.encode()) for name in names if (text := vars(event)[name])}


def _level(sizes: Iterable[int], excess: int) -> int:
    """The greatest size to which the longer ones can be cut so that `excess` is saved; 0 if none is."""
    ordered = sorted(sizes, reverse=True)
    total = 0
    for count, (size, following) in enumerate(pairwise([*ordered, 0]), 1):
        total += size
        if total - count * following >= excess:
            return (total - excess) // count
    return 0


def _how_many(items: list[str], limit_bytes: int) -> int:
    """How many of the first items take at most `limit_bytes` together."""
    for count, item in enumerate(items):
        limit_bytes -= len(item.encode())
        if limit_bytes < 0:
            return count
    return len(items)


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _mark(names: Iterable[str]) -> str:
    """The names of fields first: there are few, whereas attributes may be many and named at length."""
    ordered = sorted(names, key=lambda name: (name.startswith("attributes."), name))
    return _cut(",".join(ordered), _MARK_BYTES)
