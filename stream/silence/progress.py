"""How far in the events' time one partition of the events topic is.

A partition has reached an hour once two services have reported in it or later, so that no single service's
wrong clock moves it.  A report is of no later hour than the broker had it in (`Reports.time_of`), so that
services which share a wrong clock do not move it either.  It goes by the partition's own records alone, in
their order: the same for any batches and workers.
"""

import json
from dataclasses import dataclass

from keytrail.stream.errors import StateFormError

MINUTE = 60_000_000
HOUR = 60 * MINUTE
LATENESS = 2  # hours that an event may come after others of its partition
NOT_YET = -1
_FORM = 1  # of the packed state


@dataclass(slots=True)
class Progress:
    """Hours are counted since 1970, UTC.  `ahead` is the service that is furthest, `next` the next one."""

    ahead: str = ""
    ahead_hour: int = NOT_YET
    next: str = ""
    next_hour: int = NOT_YET
    reached: int = NOT_YET

    def is_in_time(self, hour: int) -> bool:
        return hour >= self.reached - LATENESS

    def note(self, service: str, hour: int) -> bool:
        """The service reported; true where that came in time."""
        if not self.is_in_time(hour):
            return False
        if service == self.ahead:
            self.ahead_hour = max(self.ahead_hour, hour)
        elif hour > self.ahead_hour:
            self.next, self.next_hour = self.ahead, self.ahead_hour
            self.ahead, self.ahead_hour = service, hour
        elif hour > self.next_hour:
            self.next, self.next_hour = service, hour
        self.reached = max(self.reached, self.next_hour)
        return True


def pack(progress: Progress) -> bytes:
    """As stored; see `unpack`."""
    known = progress
    fields = [known.ahead, known.ahead_hour, known.next, known.next_hour, known.reached]
    return json.dumps([_FORM, *fields]).encode()


def unpack(packed: bytes) -> Progress:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("progress", form)
    return Progress(*fields)
