"""The naive judge of services that fall silent: every hour with a report in memory, in order of time."""

import itertools
from collections import defaultdict
from collections.abc import Iterator

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event

_HOUR = 3_600_000_000
_WEEKS = 28 * 24


class SilenceJudge:
    def __init__(self) -> None:
        self._hours: dict[str, set[int]] = defaultdict(set)

    def note(self, event: Event) -> None:
        self._hours[event.service].add(event.occurred_at // _HOUR)

    def findings(self) -> Iterator[Finding]:
        latest = sorted(max(hours) for hours in self._hours.values())
        now = latest[-2] if len(latest) > 1 else latest[-1]
        for service, hours in self._hours.items():
            if any(_is_silence(sorted(hours), last, again, now) for last, again in _rests(hours)):
                yield Finding("audit_silence", "service", service, "")


def _rests(hours: set[int]) -> Iterator[tuple[int, int | None]]:
    yield from itertools.pairwise(sorted(hours))
    yield max(hours), None


def _is_silence(hours: list[int], last: int, again: int | None, now: int) -> bool:
    silent = again - last if again is not None else now - 2 - last
    if silent <= 6:
        return False
    known = [hour for hour in hours if last - _WEEKS < hour <= last]
    rests = [later - hour for hour, later in itertools.pairwise(known)]
    if sum(rests) < 7 * 24:
        return False
    is_regular = len(known) >= 20 and max(rests) <= 1.5 * sum(rests) / len(rests)
    return (is_regular or len(known) >= 150) and silent > max(6, 3 * max(rests))
