"""Times as people write and read them."""

import re
from datetime import UTC, datetime, timedelta

from keytrail.producers.clock import to_micros
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros

_DISTANCE = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, now: Micros) -> Micros:
    """`2026-12-31`, `2026-12-31T18:00+01:00`, or a time from now: `90d`, `12h`.  No zone means UTC.

    Raises `UsageError` for anything else.
    """
    return _parse(text, now, 1)


def parse_past(text: str, now: Micros) -> Micros:
    """As `parse_moment`, but `12h` is twelve hours ago."""
    return _parse(text, now, -1)


def _parse(text: str, now: Micros, direction: int) -> Micros:
    try:
        if distance := _DISTANCE.fullmatch(text):
            moment = _moment(now) + direction * timedelta(**{_UNITS[distance[2]]: int(distance[1])})
        else:
            moment = datetime.fromisoformat(text)
        return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is not a time.", "Write it as 2026-12-31, 2026-12-31T18:00+01:00, 90d or 12h."
        ) from error


def show_moment(moment: Micros | None) -> str | None:
    """ISO 8601 in UTC; None stays None, and what no calendar reaches is shown as microseconds."""
    if moment is None:
        return None
    try:
        return _moment(moment).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{moment} microseconds"


def _moment(micros: Micros) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
