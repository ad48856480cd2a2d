"""For how long one privileged key has lain unused.

Days are UTC and counted since 1970.  Uses may come in any order, as long as a day is gone through when all of
its uses are there.
"""

import json
from dataclasses import dataclass, field

from keytrail.schemas.records import Occurrence
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.errors import StateFormError

NOT_YET = -1
_FORM = 1  # of the packed state
# Days of use that wait to be gone through: where a partition holds them back, they come without end.
_MOST_WAITING = 400


@dataclass(slots=True)
class Rest:
    """`since` is the day from which on all uses are known; `last` is the latest use that was gone through,
    `waiting` are those that were not, the first of each day.  `told`: it was said to lie since that day.
    """

    since: int = NOT_YET
    last: Occurrence | None = None
    waiting: dict[int, Occurrence] = field(default_factory=dict)
    told: int | None = None

    @property
    def began(self) -> int:
        """The day from which it lies."""
        return max(self.since, _day_of(self.last))

    @property
    def next_day(self) -> int | None:
        """The first day of use that waits."""
        return min(self.waiting, default=None)

    def use(self, at: Occurrence, judged: int) -> None:
        """A use; days before `judged` were gone through."""
        day = _day_of(at)
        if day < judged:
            self._settle(at)
            return
        self.waiting[day] = min(at, self.waiting.get(day, at), key=_order)
        if len(self.waiting) > _MOST_WAITING:
            self._settle(self.waiting.pop(min(self.waiting)))

    def go_on(self, day: int) -> None:
        """Go through the days before this one; of them all uses are there."""
        while (first := self.next_day) is not None and first < day:
            self._settle(self.waiting.pop(first))

    def _settle(self, at: Occurrence) -> None:
        last, day = self.last, _day_of(at)
        if last is None or day > _day_of(last) or (day == _day_of(last) and _order(at) < _order(last)):
            self.last = at


def _day_of(at: Occurrence | None) -> int:
    return NOT_YET if at is None else at.occurred_at // DAY


def _order(at: Occurrence) -> tuple[int, str]:
    return at.occurred_at, at.event_id


def pack(rest: Rest) -> bytes:
    """As stored; see `unpack`."""
    last = None if rest.last is None else _order(rest.last)
    waiting = [_order(at) for at in rest.waiting.values()]
    return json.dumps([_FORM, rest.since, last, waiting, rest.told], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Rest:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("rest of a key", form)
    since, last, waiting, told = fields
    uses = [Occurrence(*at) for at in waiting]
    return Rest(since, None if last is None else Occurrence(*last), {_day_of(at): at for at in uses}, told)
