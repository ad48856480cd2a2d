"""Which teams a subject was seen in, first and last.

Of each team its first and its latest day are kept, and the earliest moment of the latest day at which it was
stated; all are the same in whichever order events arrive, and change about once a day.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Event, Micros

KEPT_TEAMS = 8  # those seen last
_NO_DAY = -1
_LONGEST = 200


class Sight(NamedTuple):
    """The latest day on which a team was stated, since when on that day, and the first day."""

    day: int
    since: Micros
    first_day: int


def stated_team(event: Event) -> str:
    """The subject's team, cut where it is very long; "" where the event states none."""
    return event.attributes.get("team", "")[:_LONGEST]


@dataclass(slots=True)
class Membership:
    """A subject's teams.  Where no event stated one, the service that it was first seen in stands in."""

    sights: dict[str, Sight] = field(default_factory=dict)
    _current: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._current = self._latest()

    @property
    def current(self) -> str:
        """The team now: the one that came last on the latest day; "" before the first event."""
        return self._current

    @property
    def is_stated(self) -> bool:
        """False where a service stands in for the team."""
        return bool(self._current) and self.sights[self._current].day != _NO_DAY

    def see(self, event: Event, day: int) -> bool:
        """Take in what an event of this day states; True where that changed something."""
        team = event.attributes.get("team", "")
        if len(team) > _LONGEST:
            team = stated_team(event)
        if not team:
            if self.sights:
                return False
            self.sights[f"service:{event.service}"] = Sight(_NO_DAY, event.occurred_at, _NO_DAY)
        else:
            at, seen = event.occurred_at, self.sights.get(team)
            if seen is None:
                self.sights[team] = Sight(day, at, day)
            elif day > seen.day or (day == seen.day and at < seen.since):
                self.sights[team] = Sight(day, at, seen.first_day)
            elif day < seen.first_day:
                self.sights[team] = Sight(seen.day, seen.since, day)
            else:
                return False
        if len(self.sights) > KEPT_TEAMS:
            del self.sights[min(self.sights, key=self._order)]
        self._current = self._latest()
        return True

    def left_day(self, team: str) -> int:
        """The day since when the subject is in its present team and not in this one any more.

        -1 for a team that is no longer kept, which was left before those that are.
        """
        seen = self.sights.get(team)
        return _NO_DAY if seen is None else max(seen.day, self.sights[self._current].first_day)

    def _latest(self) -> str:
        return max(self.sights, key=self._order) if self.sights else ""

    def _order(self, team: str) -> tuple[int, Micros, str]:
        sight = self.sights[team]
        return sight.day, sight.since, team
