"""The hours in which one service reported, and where it was silent for too long.

Hours are counted since 1970, UTC.  Reports may come in any order, as long as an hour is judged when all of
its reports are there: then what is found does not depend on when it is asked.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Micros, Occurrence
from keytrail.stream.detections.audit_silence import WINDOW, bearable
from keytrail.stream.errors import StateFormError
from keytrail.stream.silence.limits import SilenceLimits
from keytrail.stream.silence.progress import HOUR

_FORM = 1  # of the packed state
_NONE = -1
# Hours that wait to be judged: where a partition holds them back, they come without end.
_MOST_UNREAD = 2 * WINDOW


class First(NamedTuple):
    """The first event of an hour, and the version of the policy that counted for it."""

    at: Micros
    event_id: str
    policy: str

    @property
    def occurrence(self) -> Occurrence:
        return Occurrence(self.at, self.event_id)


class Silence(NamedTuple):
    """Since which report, and, where it is over, until which."""

    last: First
    again: First | None


@dataclass(slots=True)
class Hours:
    """Of one service.  Bit i of `bits` is set where it reported in the hour `base + i`.

    All rests that began before the hour `settled`, one with a report, are decided on; hours are kept for a
    window before it, and first events from it on.  `missed`: it was told to be silent since `settled`.
    """

    base: int = 0
    bits: int = 0
    settled: int = _NONE
    missed: bool = False
    firsts: dict[int, First] = field(default_factory=dict)

    def add(self, first: First) -> None:
        hour = first.at // HOUR
        if hour < self.settled:
            return
        if not self.bits:
            self.base = hour
        elif hour < self.base:
            self.bits <<= self.base - hour
            self.base = hour
        self.bits |= 1 << (hour - self.base)
        known = self.firsts.get(hour)
        if known is None or first < known:
            self.firsts[hour] = first

    def silences(self, until: int, limits: Callable[[str], SilenceLimits]) -> Iterator[Silence]:
        """Silences that begin or end before the hour `until`, in order; of the hours before it all is known.

        `limits` gives those of a policy's version.  To be read to its end.
        """
        if self.settled == _NONE:
            if self.base >= until:
                return
            self.settled = self.base
        while True:
            again = self._after(self.settled)
            if again is not None and again >= until:
                again = None
            last = self.firsts[self.settled]
            silent = (until if again is None else again) - self.settled
            if not self.missed and self._is_too_long(silent, limits(last.policy)):
                self.missed = True
                yield Silence(last, None)
            if again is None:
                break
            if self.missed:
                self.missed = False
                yield Silence(last, self.firsts[again])
            self.settled = again
        self._trim()

    def bound(self) -> None:
        """Forget hours that have waited for too long; the service is then as if it had begun after them."""
        latest = self.base + self.bits.bit_length() - 1
        cut = latest - _MOST_UNREAD
        if max(self.settled, self.base) >= cut:
            return
        self.bits >>= cut - self.base
        empty = (self.bits & -self.bits).bit_length() - 1
        self.base, self.bits, self.settled = cut + empty, self.bits >> empty, _NONE
        self.firsts = {hour: first for hour, first in self.firsts.items() if hour >= cut}

    def is_forgotten(self, until: int) -> bool:
        """Nothing that is kept matters any more."""
        return not self.missed and self.base + self.bits.bit_length() - 1 < until - WINDOW

    def _is_too_long(self, silent: int, limits: SilenceLimits) -> bool:
        if silent <= limits.least_hours:
            return False
        rest = bearable(self._window(), limits)
        # After a window it is forgotten, however few the batches are in which that passes.
        return rest is not None and min(silent, WINDOW) > rest

    def _after(self, hour: int) -> int | None:
        """The next hour with a report."""
        left = self.bits >> (hour + 1 - self.base)
        return hour + (left & -left).bit_length() if left else None

    def _window(self) -> int:
        """The bits up to `settled`, for so long as the rule looks back; the first and the last are set."""
        bits = self.bits & ((1 << (self.settled - self.base + 1)) - 1)
        bits >>= max(0, self.settled + 1 - WINDOW - self.base)
        return bits // (bits & -bits)

    def _trim(self) -> None:
        if (old := self.settled - WINDOW - self.base) > 0:
            self.base, self.bits = self.base + old, self.bits >> old
        self.firsts = {hour: first for hour, first in self.firsts.items() if hour >= self.settled}


def pack(hours: Hours) -> bytes:
    """The hours as stored; see `unpack`."""
    fields = [hours.base, f"{hours.bits:x}", hours.settled, hours.missed, list(hours.firsts.values())]
    return json.dumps([_FORM, *fields], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Hours:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("hours of a service", form)
    base, bits, settled, missed, firsts = fields
    by_hour = {first[0] // HOUR: First(*first) for first in firsts}
    return Hours(base, int(bits, 16), settled, missed, by_hour)
