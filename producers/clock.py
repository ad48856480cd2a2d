"""The time, as producers are given it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from keytrail.schemas.records import Micros

Clock = Callable[[], Micros]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> Micros:
    """The machine's time in whole microseconds since 1970, UTC.  It may step backwards."""
    return Micros(time.time_ns() // 1000)


def to_micros(moment: datetime) -> Micros:
    """Microseconds since 1970, exact, unlike `timestamp()`.  The moment must have a time zone."""
    since = moment - _EPOCH
    return Micros((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
