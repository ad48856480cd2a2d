"""The naive judge of producers' numbers: every number in memory, by the hour in which it came."""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event

_HOUR = 3_600_000_000
_LATE = 2


class SequenceJudge:
    def __init__(self) -> None:
        self._came: dict[str, dict[int, int]] = defaultdict(dict)
        self._service: dict[str, str] = {}
        self._now = 0

    def note(self, event: Event) -> None:
        self._now = max(self._now, event.occurred_at // _HOUR)
        if event.sequence:
            came = self._came[event.producer_id]
            hour = event.occurred_at // _HOUR
            came[event.sequence] = min(hour, came.get(event.sequence, hour))
            self._service.setdefault(event.producer_id, event.service)

    def findings(self) -> Iterator[Finding]:
        for run, came in self._came.items():
            first = 1 if _says_when_it_began(run) else min(came)
            earliest, missed = self._now, False
            for number in range(max(came), first - 1, -1):
                hour = came.get(number, self._now)
                # A higher number came in the hour `earliest`.
                missed = missed or hour > earliest + _LATE
                earliest = min(earliest, hour)
            if missed:
                yield Finding("sequence_holes", "service", self._service[run], "")


def _says_when_it_began(run: str) -> bool:
    try:
        return UUID(run[-36:]).version == 7
    except ValueError:
        return False
