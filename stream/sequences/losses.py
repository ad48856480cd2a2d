"""Losses of one run that its producer told, by cause.

A telling counts from the beginning of the run: of one cause the latest makes up for those before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from keytrail.schemas.records import ToldLoss
from keytrail.stream.sequences.bitmaps import Range

_MOST_WHYS = 10
_MOST_TELLING = 50

_Plain = tuple[str, int, int, int]


@dataclass(slots=True)
class Losses:
    """`told` are known, by cause; `telling` were told in hours that are not over, by hour and cause."""

    told: dict[str, ToldLoss] = field(default_factory=dict)
    telling: dict[tuple[int, str], ToldLoss] = field(default_factory=dict)

    def tell(self, hour: int, loss: ToldLoss) -> None:
        """The loss was told in this hour."""
        place = (hour, loss.why)
        self.telling[place] = _furthest(self.telling.get(place, loss), loss)
        if len(self.telling) > _MOST_TELLING:
            # By hour, and not as they came; a later telling says it again.
            del self.telling[min(self.telling)]

    def hear(self, until: int) -> None:
        """What was told up to this hour is known."""
        for place in sorted(self.telling):
            hour, why = place
            if hour > until:
                break
            loss = self.telling.pop(place)
            if why in self.told or len(self.told) < _MOST_WHYS:
                self.told[why] = _furthest(self.told.get(why, loss), loss)

    def among(self, missing: Iterable[Range]) -> int:
        """How many of these numbers may be told ones; a telling has a count and a range."""
        ranges = list(missing)
        every = sum(last - first + 1 for first, last in ranges)
        told = 0
        for loss in self.told.values():
            overlaps = (min(last, loss.last) - max(first, loss.first) + 1 for first, last in ranges)
            told += min(loss.count, sum(many for many in overlaps if many > 0))
        return min(every, told)

    def plain(self) -> tuple[list[_Plain], list[tuple[int, _Plain]]]:
        """As stored; see `losses_of`."""
        return (
            [_plain(loss) for loss in self.told.values()],
            [(hour, _plain(loss)) for (hour, _), loss in self.telling.items()],
        )


def losses_of(told: Iterable[_Plain], telling: Iterable[tuple[int, _Plain]]) -> Losses:
    return Losses(
        {loss[0]: ToldLoss(*loss) for loss in told},
        {(hour, loss[0]): ToldLoss(*loss) for hour, loss in telling},
    )


def is_dense(loss: ToldLoss) -> bool:
    """All numbers from its first to its last are lost."""
    return loss.count > loss.last - loss.first


def _furthest(one: ToldLoss, other: ToldLoss) -> ToldLoss:
    return max(one, other, key=lambda loss: (loss.count, loss.last, loss.first))


def _plain(loss: ToldLoss) -> _Plain:
    return loss.why, loss.count, loss.first, loss.last
