"""A circuit breaker: a target that fails again and again is left alone for a while, then asked once.

Knows no clock; times are seconds of one that only goes forward.
"""

from dataclasses import dataclass


@dataclass
class Breaker:
    """Opens after `failures` in a row, for `pause_s`; the try after that decides.  Not thread-safe."""

    failures: int = 5
    pause_s: float = 30.0
    _in_a_row: int = 0
    _opened_at: float | None = None

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def wait_s(self, now: float) -> float:
        """How long until the next try may be made; 0 where it may be made now."""
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + self.pause_s - now)

    def succeeded(self) -> bool:
        """True where this closes it."""
        was_open, self._in_a_row, self._opened_at = self.is_open, 0, None
        return was_open

    def failed(self, now: float) -> bool:
        """True where this opens it."""
        self._in_a_row += 1
        was_open = self.is_open
        if was_open or self._in_a_row >= self.failures:
            self._opened_at = now
        return self.is_open and not was_open
