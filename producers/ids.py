"""Ids for events: UUID version 7, which sort by the time they were made.

Source: RFC 9562, section 5.7, and section 6.2 (method 3: the twelve bits behind the millisecond
hold its fraction, and count on where the clock does not).
"""

import os
import struct
import threading
import time
from collections.abc import Callable

_NS_PER_MS = 1_000_000
_VERSION = 7 << 12
_VARIANT = 0b10 << 62
_POOL = struct.Struct("256Q")


class RandomBits:
    """Calling it with n <= 64 gives n bits of the system's randomness, which is asked for many at a time.

    A forked child asks anew: what the parent will give can not be told from it.  Thread-safe.
    """

    def __init__(self) -> None:
        self._pool: list[int] = []
        # The function holds on to the pool alone, and empties it in the child.
        os.register_at_fork(after_in_child=self._pool.clear)

    def __call__(self, bits: int) -> int:
        try:
            return self._pool.pop() >> (64 - bits)
        except IndexError:
            first, *others = _POOL.unpack(os.urandom(_POOL.size))
            self._pool.extend(others)
            return int(first) >> (64 - bits)


# One for the process, since what is registered for a fork stays.
_RANDOM_BITS = RandomBits()


class UuidV7:
    """Calling it gives a new UUID as text, greater than every one it gave before.  Thread-safe.

    `clock_ns` gives nanoseconds since 1970; where it stands still or steps back, the ids count
    on from the last one.  `random_bits(n)` gives n random bits; processes that share a clock
    are told apart by them alone, so they must not be predictable from a fork.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.time_ns,
        random_bits: Callable[[int], int] = _RANDOM_BITS,
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bits = random_bits
        # Reentrant, since a signal handler may record too.
        self._lock = threading.RLock()
        self._last = -1

    def __call__(self) -> str:
        milliseconds, rest_ns = divmod(self._clock_ns(), _NS_PER_MS)
        now = milliseconds << 12 | (rest_ns << 12) // _NS_PER_MS
        # A thread that waits in line for a lock is given it, and everybody else then waits for that thread.
        while not self._lock.acquire(blocking=False):
            time.sleep(0)
        try:
            self._last = now = max(now, self._last + 1)
        finally:
            self._lock.release()
        low = _VARIANT | self._random_bits(62)
        return (
            f"{now >> 28:08x}-{now >> 12 & 0xFFFF:04x}-{_VERSION | now & 0xFFF:04x}"
            f"-{low >> 48:04x}-{low & 0xFFFFFFFFFFFF:012x}"
        )
