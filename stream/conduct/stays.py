"""Where one actor was with a key, and when, by periods of ten minutes."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

from keytrail.schemas.records import Occurrence
from keytrail.stream.conduct.firsts import keep_highest, note_first, of_plain, plain
from keytrail.stream.conduct.tallies import STAY

_KEPT = 32
_MOST_PLACES = 16


class Journey(NamedTuple):
    """Between two places, one use at each.  `begin` and `end` are the periods of these."""

    origin: str
    goal: str
    begin: int
    end: int
    left: Occurrence
    arrived: Occurrence

    @property
    def periods(self) -> int:
        """How many it took at most: two uses may lie nearly one further apart than their periods do."""
        return self.end - self.begin + 1


class Stays:
    """The latest periods at each of its latest places, with the first event of each.  Not thread-safe."""

    def __init__(self) -> None:
        self.by_place: dict[str, dict[int, Occurrence]] = {}

    def add(self, place: str, at: Occurrence) -> None:
        note_first(self.by_place.setdefault(place, {}), at.occurred_at // STAY, at)

    def journeys(self) -> Iterator[Journey]:
        """From each period at each place to the nearest at any other, either way.

        What comes later may bring a nearer one, but each period stays within a journey, and that no slower.
        """
        for one, other in permutations(sorted(self.by_place), 2):
            there = self.by_place[other]
            for period, at in sorted(self.by_place[one].items()):
                nearest = min(there, key=lambda near: (abs(near - period), near))
                yield (
                    Journey(one, other, period, nearest, at, there[nearest])
                    if period <= nearest
                    else Journey(other, one, nearest, period, there[nearest], at)
                )

    def trim(self) -> None:
        """Forget what is too old, or too much."""
        for periods in self.by_place.values():
            keep_highest(periods, _KEPT)
        by_latest = sorted(self.by_place, key=lambda place: (max(self.by_place[place]), place))
        for place in by_latest[:-_MOST_PLACES]:
            del self.by_place[place]

    def plain(self) -> dict[str, Any]:
        """As JSON has it; see `of`."""
        return {place: plain(periods) for place, periods in self.by_place.items()}

    @staticmethod
    def of(items: dict[str, Any]) -> "Stays":
        stays = Stays()
        stays.by_place = {place: of_plain(periods) for place, periods in items.items()}
        return stays
