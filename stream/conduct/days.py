"""The days on which there was any use.  Days are UTC and counted since 1970."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from keytrail.schemas.records import Occurrence
from keytrail.stream.conduct.firsts import keep_highest, note_first, of_plain, plain
from keytrail.stream.conduct.tallies import DAY

KEPT = 64
_FIRSTS_KEPT = 8


@dataclass(slots=True)
class Days:
    """The `KEPT` latest days of use and the very first, exact; of the latest few the first event too."""

    numbers: list[int] = field(default_factory=list)
    very_first: int = -1
    firsts: dict[int, Occurrence] = field(default_factory=dict)

    def add(self, at: Occurrence) -> None:
        day = at.occurred_at // DAY
        if day not in self.firsts:  # else it is known as a day
            place = bisect_left(self.numbers, day)
            if place == len(self.numbers) or self.numbers[place] != day:
                self.numbers.insert(place, day)
            if self.very_first < 0 or day < self.very_first:
                self.very_first = day
        note_first(self.firsts, day, at)

    def trim(self) -> None:
        """Forget the oldest where there are too many."""
        if len(self.numbers) > KEPT:
            del self.numbers[:-KEPT]
        keep_highest(self.firsts, _FIRSTS_KEPT)

    def before(self, day: int) -> int:
        """How many of the days that are kept came before that one."""
        return bisect_left(self.numbers, day)

    @property
    def is_whole(self) -> bool:
        """True where no day was forgotten."""
        return not self.numbers or self.numbers[0] == self.very_first

    def plain(self) -> list[Any]:
        """As JSON has it; see `of`."""
        return [self.numbers, self.very_first, plain(self.firsts)]

    @staticmethod
    def of(items: list[Any]) -> "Days":
        numbers, very_first, firsts = items
        return Days(numbers, very_first, of_plain(firsts))


def together(some: Iterable[Days]) -> Days:
    """The days of all of them.  Not to be changed: where there is one alone it is that one."""
    days = list(some)
    if len(days) == 1:
        return days[0]
    whole = Days(
        sorted({number for one in days for number in one.numbers}),
        min((one.very_first for one in days), default=-1),
    )
    for one in days:
        for day, at in one.firsts.items():
            note_first(whole.firsts, day, at)
    return whole
