"""Times as people write and read them."""

import re
from datetime import UTC, datetime, timedelta

from keytrail.producers.clock import to_micros
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros

_AHEAD = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, now: Micros) -> Micros:
    """`2026-12-31`, `2026-12-31T18:00+01:00`, or a time from now: `90d`, `12h`.  No zone means UTC.

    Raises `UsageError` for anything else.
    """
    try:
        if ahead := _AHEAD.fullmatch(text):
            moment = _moment(now) + timedelta(**{_UNITS[ahead[2]]: int(ahead[1])})
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
