"""Hours of the week in a time zone, written as `Mon-Fri 08:00-18:00 Europe/Berlin`."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS_FORM = r"(\w{3})(?:-(\w{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?"
_FORM = re.compile(HOURS_FORM)


@dataclass(frozen=True)
class Hours:
    """Days of the week (0 is Monday) and minutes of the day; `until` is not within."""

    days: frozenset[int]
    since: int
    until: int
    zone: ZoneInfo


@lru_cache(maxsize=1024)
def parse_hours(text: str) -> Hours:
    """Raises `UsageError` for a text of another form.  Hours past midnight run into the next day."""
    found = _FORM.fullmatch(text)
    try:
        if found is None:
            raise ValueError("not of the form")
        first, last, h1, m1, h2, m2, zone = found.groups()
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days = frozenset((begin + i) % 7 for i in range((end - begin) % 7 + 1))
        return Hours(days, int(h1) * 60 + int(m1), int(h2) * 60 + int(m2), ZoneInfo(zone or "UTC"))
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise UsageError(
            f"Hours {text!r} cannot be read.", "Write them as: Mon-Fri 08:00-18:00 Europe/Berlin."
        ) from error


def within_hours(text: str, at: Micros) -> bool:
    return day_of_hours(text, at) is not None


def day_of_hours(text: str, at: Micros) -> date | None:
    """The day on which the hours began that are running then, in their time zone; None outside of them."""
    hours = parse_hours(text)
    local = datetime.fromtimestamp(at / 1e6, UTC).astimezone(hours.zone)
    today, minute = local.date(), local.hour * 60 + local.minute
    yesterday = today - timedelta(days=1)
    if hours.since <= hours.until:
        return today if today.weekday() in hours.days and hours.since <= minute < hours.until else None
    if today.weekday() in hours.days and minute >= hours.since:
        return today
    return yesterday if yesterday.weekday() in hours.days and minute < hours.until else None
