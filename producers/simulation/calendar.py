"""The simulated half year: hours with their share of the traffic, and moments of the working day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from keytrail.schemas.records import Micros

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

DAYS = 180
ZONE = ZoneInfo("Europe/Berlin")
# Contractors' keys are good for these hours; people work well within them.
SCOPE_HOURS = f"Mon-Fri 07:00-19:00 {ZONE.key}"

# Weight of people's and of services' doings by local hour, Monday to Friday.
_PEOPLE = {8: 70, 9: 100, 10: 115, 11: 100, 12: 60, 13: 85, 14: 105, 15: 100, 16: 80, 17: 45}
_PEOPLE_ON_CALL = 2
_SERVICES = {1: 55, 2: 85, 3: 70}
_SERVICES_USUAL = 40


@dataclass(frozen=True)
class Slot:
    """One hour.  `working`: people are at work; otherwise only those on call are."""

    begin: Micros
    people: int
    services: int
    working: bool


class Calendar:
    """`DAYS` days from a date on; day 0 is that date.  Moments are in the company's time zone."""

    def __init__(self, start: date) -> None:
        self._start = start
        self.begin = _micros(datetime.combine(start, time(), UTC))
        self.end = Micros(self.begin + DAYS * DAY)

    def slots(self, first_hour: int) -> list[Slot]:
        """The hours of the whole period from `first_hour` on, in order."""
        return [self._slot(Micros(self.begin + hour * HOUR)) for hour in range(first_hour, DAYS * 24)]

    def _slot(self, begin: Micros) -> Slot:
        local = datetime.fromtimestamp(begin // SECOND, ZONE)
        services = _SERVICES.get(local.hour, _SERVICES_USUAL)
        if local.weekday() < 5 and local.hour in _PEOPLE:
            return Slot(begin, _PEOPLE[local.hour], services, True)
        return Slot(begin, _PEOPLE_ON_CALL, services, False)

    def at(self, day: int, hour: int, minute: int = 0) -> Micros:
        moment = datetime.combine(self._start + timedelta(days=day), time(hour, minute), ZONE)
        return _micros(moment)

    def workday(self, day: int) -> int:
        """The first day from `day` on that is no weekend."""
        while (self._start + timedelta(days=day)).weekday() >= 5:
            day += 1
        return day

    def weekend(self, day: int) -> int:
        """The first Saturday from `day` on."""
        return day + (5 - (self._start + timedelta(days=day)).weekday()) % 7

    def working_moment(self, day: int, rng: Random) -> Micros:
        """In working hours of the first workday from `day` on, some minutes away from the full hour."""
        at = self.at(self.workday(day), rng.randint(9, 16), rng.randint(5, 45))
        return Micros(at + rng.randrange(MINUTE))

    def mondays(self) -> Iterator[int]:
        first = (-self._start.weekday()) % 7
        return iter(range(first, DAYS, 7))


def hour_of(at: Micros, begin: Micros) -> Micros:
    """The full hour at or before a moment, counted from `begin`."""
    return Micros(at - (at - begin) % HOUR)


def shares(slots: list[Slot], total: int) -> Iterator[tuple[Slot, int]]:
    """Each slot with its number of events, by weight; the numbers add up to `total`."""
    whole = sum(slot.people + slot.services for slot in slots)
    passed = given = 0
    for slot in slots:
        passed += slot.people + slot.services
        due = total * passed // whole
        yield slot, due - given
        given = due


def _micros(moment: datetime) -> Micros:
    return Micros(int(moment.timestamp()) * SECOND)
