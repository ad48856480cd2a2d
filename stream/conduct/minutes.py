"""Counts by minute, and how many there were within some minutes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from keytrail.schemas.records import Deed, Micros, Occurrence
from keytrail.stream.conduct.tallies import MINUTE
from keytrail.stream.findings.signals import KEEP

KEPT = 64
LONGEST_WINDOW = 60  # minutes: it must fit among those that are kept


@dataclass(slots=True)
class Minute:
    """`first` are the first few events of the minute, in order, and `last` is the time of its last one."""

    count: int = 0
    last: Micros = 0
    first: list[Occurrence] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """Minutes in a row, their number of events, and the first few events of each of them."""

    count: int
    last: Micros
    events: tuple[Occurrence, ...]

    @property
    def first(self) -> Micros:
        return self.events[0].occurred_at


def fullest(windows: Sequence[Window]) -> Window:
    """The one with most in it; the first of those that have as much."""
    return max(windows, key=lambda window: (window.count, -window.first))


@dataclass(slots=True)
class Minutes:
    """The `KEPT` latest minutes in which there was anything.

    Counts and the last time are exact, and so are the first `KEEP` events of each minute; in whichever order
    and groups deeds are added, the minutes are the same.
    """

    by_number: dict[int, Minute] = field(default_factory=dict)

    def add(self, deed: Deed) -> None:
        """The deed's events lie within one minute."""
        minute = self.by_number.setdefault(deed.last // MINUTE, Minute())
        minute.count += deed.count
        minute.last = max(minute.last, deed.last)
        both = {(event.occurred_at, event.event_id) for event in (*minute.first, *deed.events)}
        minute.first = [Occurrence(*at) for at in sorted(both)[:KEEP]]

    def trim(self) -> None:
        """Forget the oldest where there are too many."""
        if len(self.by_number) > KEPT:
            for number in sorted(self.by_number)[:-KEPT]:
                del self.by_number[number]

    def windows(self, minutes: int, least: int) -> Iterator[Window]:
        """The stretches of so many minutes that hold `least` or more, each up to a minute that has some."""
        if sum(minute.count for minute in self.by_number.values()) < least:
            return
        numbers = sorted(self.by_number)
        begin = count = 0
        for end, number in enumerate(numbers):
            count += self.by_number[number].count
            while numbers[begin] <= number - minutes:
                count -= self.by_number[numbers[begin]].count
                begin += 1
            if count >= least:
                yield self._window(numbers[begin : end + 1], count)

    def _window(self, numbers: list[int], count: int) -> Window:
        within = [self.by_number[number] for number in numbers]
        return Window(count, within[-1].last, tuple(event for minute in within for event in minute.first))

    def plain(self) -> list[Any]:
        """As JSON has it; see `of`."""
        return [
            [
                number,
                minute.count,
                minute.last,
                [[event.occurred_at, event.event_id] for event in minute.first],
            ]
            for number, minute in self.by_number.items()
        ]

    @staticmethod
    def of(plain: list[Any]) -> "Minutes":
        return Minutes(
            {
                number: Minute(count, last, [Occurrence(*event) for event in first])
                for number, count, last, first in plain
            }
        )
