"""Ids for events: UUID version 7, which sort by the time they were made.

Source: RFC 9562, section 5.7, and section 6.2 (method 3: the twelve bits behind the millisecond
hold its fraction, and count on where the clock does not).
"""

import secrets
import threading
import time
from collections.abc import Callable

_NS_PER_MS = 1_000_000
_VERSION = 7 << 76
_VARIANT = 0b10 << 62


class UuidV7:
    """Calling it gives a new UUID as text, greater than every one it gave before.  Thread-safe.

    `clock_ns` gives nanoseconds since 1970; where it stands still or steps back, the ids count
    on from the last one.  `random_bits(n)` gives n random bits; processes that share a clock
    are told apart by them alone, so they must not be predictable from a fork.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.time_ns,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = -1

    def __call__(self) -> str:
        milliseconds, rest_ns = divmod(self._clock_ns(), _NS_PER_MS)
        now = milliseconds << 12 | (rest_ns << 12) // _NS_PER_MS
        with self._lock:
            self._last = now = max(now, self._last + 1)
        value = (now >> 12) << 80 | _VERSION | (now & 0xFFF) << 64 | _VARIANT | self._random_bits(62)
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
