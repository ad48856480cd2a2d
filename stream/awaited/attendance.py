"""A service's attendance: the hours in which it reported, and where it was missed.

Hours are counted since 1970, UTC.  Events may come in any order, as long as none comes more than `LATENESS`
hours of the stream's time late: an hour is decided on when all of its events are there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from keytrail.schemas.records import Occurrence
from keytrail.stream.awaited.limits import SilenceLimits
from keytrail.stream.awaited.moments import HOUR
from keytrail.stream.conduct.firsts import note_first, of_plain, plain
from keytrail.stream.detections.audit_silence import WINDOW, bearable
from keytrail.stream.errors import StateFormError

FORM = 1  # of the packed state
LATENESS = 2  # hours


@dataclass(slots=True)
class Attendance:
    """Of one service.  Bit i of `bits` is set where it reported in the hour `base + i`.

    All rests that began before `settled` are decided on; hours are kept for a window before it, and first
    events from it on.  `missed`: since which hour it was told to be silent, -1 where it is not.
    """

    base: int = 0
    bits: int = 0
    settled: int = -1
    missed: int = -1
    firsts: dict[int, Occurrence] = field(default_factory=dict)

    @property
    def latest(self) -> int:
        return self.base + self.bits.bit_length() - 1

    def add(self, at: Occurrence) -> None:
        hour = at.occurred_at // HOUR
        if hour < self.settled - WINDOW:
            return
        if not self.bits:
            self.base = hour
        elif hour < self.base:
            self.bits <<= self.base - hour
            self.base = hour
        self.bits |= 1 << (hour - self.base)
        if hour >= self.settled:
            note_first(self.firsts, hour, at)

    def silences(self, now: int, limits: SilenceLimits) -> Iterator[tuple[Occurrence, Occurrence | None]]:
        """What it reported before each silence that is new or over, and, where it is over, after it.

        `now` is the hour of the stream's time, as others tell it.  To be read to its end.
        """
        while True:
            last, again = self._from(self.settled), None
            if last + LATENESS >= now:
                break
            if last < self.latest:
                again = self._from(last + 1)
                if again - last <= limits.least_hours:
                    self.settled = again
                    continue
            rest = bearable(self._window(last), limits)
            if rest is None or (again is not None and again - last <= rest):
                if again is None:
                    break
                self.settled = again
                continue
            if last + rest + LATENESS >= now:
                break
            if again is not None:
                yield self.firsts[last], self.firsts[again]
                self.missed, self.settled = -1, again
                continue
            if self.missed != last:
                self.missed = last
                yield self.firsts[last], None
            break
        self._trim()

    def due(self, now: int, limits: SilenceLimits) -> int | None:
        """The hour from which on there may be more to say; None: only after a report."""
        last = self._from(self.settled)
        if last < self.latest:
            return now + 1
        if self.missed == last:
            return None
        rest = limits.least_hours if last + LATENESS >= now else bearable(self._window(last), limits)
        return None if rest is None else last + rest + LATENESS + 1

    def _from(self, hour: int) -> int:
        """The first hour with a report from that one on; there is one."""
        skipped = max(0, hour - self.base)
        left = self.bits >> skipped
        return self.base + skipped + (left & -left).bit_length() - 1

    def _window(self, last: int) -> int:
        """The bits up to that hour, for so long as the rule looks back; the first and the last are set."""
        bits = self.bits & ((1 << (last - self.base + 1)) - 1)
        bits >>= max(0, last + 1 - WINDOW - self.base)
        return bits // (bits & -bits)

    def _trim(self) -> None:
        if (old := self.settled - WINDOW - self.base) > 0:
            self.base, self.bits = self.base + old, self.bits >> old
        self.firsts = {hour: at for hour, at in self.firsts.items() if hour >= self.settled}


def pack(attendance: Attendance) -> bytes:
    """The attendance as stored; see `unpack`."""
    known = attendance
    fields = [known.base, f"{known.bits:x}", known.settled, known.missed, plain(known.firsts)]
    return json.dumps([FORM, *fields], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Attendance:
    form, *fields = json.loads(packed)
    if form != FORM:
        raise StateFormError("attendance", form)
    base, bits, settled, missed, firsts = fields
    return Attendance(base, int(bits, 16), settled, missed, of_plain(firsts))
