"""When something was first seen, of names or of numbers, bounded."""

from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

from keytrail.schemas.records import Occurrence

Name = TypeVar("Name", bound=Hashable)


def note_first(firsts: dict[Name, Occurrence], name: Name, at: Occurrence) -> None:
    """Of one name's events the earliest stays, in whichever order they come."""
    known = firsts.get(name)
    # The times tell nearly always.
    if (
        known is None
        or at.occurred_at < known.occurred_at
        or (at.occurred_at == known.occurred_at and at.event_id < known.event_id)
    ):
        firsts[name] = at


def keep_earliest(firsts: dict[str, Occurrence], most: int) -> None:
    """Keep the names that were seen first.

    One that is left out comes too late again each time: what is kept does not depend on the order.
    """
    if len(firsts) > most:
        late = sorted(firsts, key=lambda name: (*_order(firsts[name]), name))[most:]
        for name in late:
            del firsts[name]


def keep_highest(firsts: dict[int, Occurrence], most: int) -> None:
    """Keep the highest numbers."""
    if len(firsts) > most:
        for number in sorted(firsts)[:-most]:
            del firsts[number]


def plain(firsts: dict[Name, Occurrence]) -> list[list[Any]]:
    """As JSON has it; see `of_plain`."""
    return [[name, at.occurred_at, at.event_id] for name, at in firsts.items()]


def of_plain(items: Iterable[list[Any]]) -> dict[Any, Occurrence]:
    return {name: Occurrence(at, event_id) for name, at, event_id in items}


def _order(at: Occurrence) -> tuple[int, str]:
    return at.occurred_at, at.event_id
