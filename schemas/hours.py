"""Hours of the week in a time zone, written as `Mon-Fri 08:00-18:00 Europe/Berlin`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(r"(\w{3})(?:-(\w{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?")


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
    hours = parse_hours(text)
    local = datetime.fromtimestamp(at / 1e6, UTC).astimezone(hours.zone)
    minute = local.hour * 60 + local.minute
    if hours.since <= hours.until:
        return local.weekday() in hours.days and hours.since <= minute < hours.until
    yesterday = (local.weekday() - 1) % 7
    return (local.weekday() in hours.days and minute >= hours.since) or (
        yesterday in hours.days and minute < hours.until
    )
