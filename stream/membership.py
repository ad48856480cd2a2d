"""Which teams a subject was seen in, and when last.

Of each team its latest day is kept, and the earliest moment of that day at which it was stated; both are the
same in whichever order events arrive, and change about once a day.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Event, Micros

KEPT_TEAMS = 4  # those seen last
_NO_DAY = -1
_LONGEST = 200


class Sight(NamedTuple):
    """The latest day on which a team was stated, and since when on that day."""

    day: int
    since: Micros


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
        team = stated_team(event)
        if not team:
            if self.sights:
                return False
            team, sight = f"service:{event.service}", Sight(_NO_DAY, event.occurred_at)
        else:
            sight = Sight(day, event.occurred_at)
            seen = self.sights.get(team)
            if seen is not None and (day < seen.day or (day == seen.day and sight.since >= seen.since)):
                return False
        self.sights[team] = sight
        if len(self.sights) > KEPT_TEAMS:
            del self.sights[min(self.sights, key=self._order)]
        self._current = self._latest()
        return True

    def last_day(self, team: str) -> int | None:
        """The day on which the subject was last seen in the team; None where that is not known."""
        seen = self.sights.get(team)
        return None if seen is None else seen.day

    def _latest(self) -> str:
        return max(self.sights, key=self._order) if self.sights else ""

    def _order(self, team: str) -> tuple[int, Micros, str]:
        return (*self.sights[team], team)
