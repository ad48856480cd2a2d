"""Watching services: reports of all partitions come together, and what the rule says goes out as signals.

In the one partition of the signals topic where all reports are sent.  An hour is judged once every partition
of the events topic is past it by `LATENESS`; so nothing depends on which of them is ahead.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from keytrail.schemas.ledger import EventHours
from keytrail.schemas.records import Attendance, Signal
from keytrail.stream.detections import audit_silence
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.signals import signal_of
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.silence import hours
from keytrail.stream.silence.hours import First, Hours, Silence
from keytrail.stream.silence.limits import SilenceLimits
from keytrail.stream.silence.progress import LATENESS, NOT_YET
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import KeepsState, StateStore

_FORM = 1  # of the packed state
_STATE = "all"


@dataclass
class _Reached:
    """Which hour each partition has reached."""

    by_partition: dict[int, int] = field(default_factory=dict)


class SilenceWatch(KeepsState):
    """Not thread-safe.  `partitions`: how many the events topic has."""

    def __init__(self, policies: Timeline, partitions: int) -> None:
        self.partitions = partitions
        self._policies = policies
        self._judges = Judges()
        self._services: StateStore[Hours] = StateStore("service-hours", hours.pack, hours.unpack)
        self._reached: StateStore[_Reached] = StateStore("reached", _pack, _unpack)
        super().__init__(self._services, self._reached)
        self._judged = NOT_YET
        self._heard: set[str] = set()

    def take(self, attendance: Attendance, policy_version: str) -> None:
        """Take in what a partition tells; the policy is the one that counted for its events."""
        for report in attendance.reports:
            known = self._services.get(report.service) or Hours()
            for at in report.events:
                known.add(First(at.occurred_at, at.event_id, policy_version))
            self._services.put(report.service, known)
            self._heard.add(report.service)
        reached = self._reached.get(_STATE) or _Reached()
        if attendance.hour > reached.by_partition.get(attendance.partition, NOT_YET):
            reached.by_partition[attendance.partition] = attendance.hour
            self._reached.put(_STATE, reached)

    def judge(self) -> Iterator[Signal]:
        """What is found since all partitions are further; to be asked after each batch."""
        yield from self._judge_until(self.until())
        for service in self._heard:
            if (known := self._services.get(service)) is not None:
                known.bound()
        self._heard.clear()

    def _judge_until(self, until: int) -> Iterator[Signal]:
        if until <= self._judged:
            return
        self._judged = until
        for service in sorted(self._services):
            known = self._services.get(service)
            if known is None:
                continue
            before = (known.settled, known.missed)
            for silence in known.silences(until, self._limits):
                yield from self._signals(service, silence)
            if known.is_forgotten(until):
                self._services.remove(service)
            elif (known.settled, known.missed) != before:
                self._services.put(service, known)

    def until(self) -> int:
        """All reports before this hour are known."""
        past = self.past()
        return NOT_YET if past == NOT_YET else past - LATENESS

    def past(self) -> int:
        """All partitions have reached this hour."""
        reached = self._reached.get(_STATE)
        if reached is None or len(reached.by_partition) < self.partitions:
            return NOT_YET
        return min(reached.by_partition.values())

    def hours(self) -> EventHours | None:
        """For whoever asks why nothing is judged; None where no partition has told anything here."""
        reached = self._reached.get(_STATE)
        if reached is None:
            return None if next(iter(self._services), None) is None else EventHours()
        until = self.until()
        return EventHours(None if until == NOT_YET else until, tuple(sorted(reached.by_partition.items())))

    def _limits(self, policy_version: str) -> SilenceLimits:
        return self._policies.named(policy_version).silence

    def _signals(self, service: str, silence: Silence) -> Iterator[Signal]:
        version = silence.last.policy
        if silence.again is None:
            verdict = audit_silence.missed(service, silence.last.occurrence)
        else:
            verdict = audit_silence.back(service, silence.again.occurrence)
        for given in self._judges.of(self._policies.named(version)).as_set([verdict]):
            yield signal_of(given, version)


def _pack(reached: _Reached) -> bytes:
    return json.dumps([_FORM, sorted(reached.by_partition.items())], separators=(",", ":")).encode()


def _unpack(packed: bytes) -> _Reached:
    form, items = json.loads(packed)
    if form != _FORM:
        raise StateFormError("what partitions reached", form)
    return _Reached(dict(items))
