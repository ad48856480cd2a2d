"""Watching runs: numbers of all partitions come together, and what the rule says goes out as signals.

In the one partition of the signals topic where attendance is sent, which says what time is complete.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from keytrail.schemas.records import Attendance, RunNumbers, Signal
from keytrail.stream.detections import sequence_holes
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.signals import signal_of
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences import run as runs
from keytrail.stream.sequences import service as services
from keytrail.stream.sequences.bitmaps import lowest
from keytrail.stream.sequences.run import NOT_YET, WINDOW, Came, Run, began
from keytrail.stream.sequences.service import Service
from keytrail.stream.sequences.waiting import WaitingNumbers
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import KeepsState, StateStore

_MOST_RUNS = 1_000  # of a service, beside those that wait to be decided on
_MOST_WAITING = 10_000  # of those
_MOST_BLOCKS = 65_536  # of a run: 67 million numbers
_FORM = 1  # of the packed state
_STATE = "all"

_Index = dict[str, set[str]]  # names of runs, by service


@dataclass
class _Known:
    """Hours up to `judged` were judged.  `begins`: from which hour on each partition tells numbers."""

    judged: int = NOT_YET
    begins: dict[int, int] = field(default_factory=dict)


class SequenceWatch(KeepsState):
    """Not thread-safe.  `partitions`: how many the events topic has.

    Hours are judged in their order, each by what came until then: what partitions that are ahead told of
    later ones waits.  `_looks` says in which hours which runs are to be looked at, and `_rested` when that is
    for a long rest: it is put off once that hour has come, not with each number.
    """

    def __init__(self, policies: Timeline, partitions: int) -> None:
        self.partitions = partitions
        self._policies = policies
        self._judges = Judges()
        self._known: StateStore[_Known] = StateStore("sequence-hours", _pack, _unpack)
        self._runs: StateStore[Run] = StateStore("sequence-run", runs.pack, runs.unpack)
        self._services: StateStore[Service] = StateStore("sequence-service", services.pack, services.unpack)
        self._numbers = WaitingNumbers()
        super().__init__(self._known, self._runs, self._services, self._numbers)
        self._runs_of: _Index = {}
        self._lacking: _Index = {}
        self._looks: dict[int, set[str]] = defaultdict(set)
        self._rested: dict[str, int] = {}
        self._is_indexed = False

    def take(self, attendance: Attendance, policy_version: str) -> None:
        """Take in what a partition tells; the policy is the one that counted for its events."""
        self._index()
        known = self._known.get(_STATE) or _Known()
        if attendance.numbers_from != NOT_YET and attendance.partition not in known.begins:
            known.begins[attendance.partition] = attendance.numbers_from
            self._known.put(_STATE, known)
        for numbers in attendance.numbers:
            self._take(numbers, attendance.partition, policy_version)

    def _take(self, numbers: RunNumbers, partition: int, policy: str) -> None:
        name, hour = numbers.producer_id, numbers.hour
        one = self._runs.get(name) or self._new_run(numbers.service, hour)
        if one is None:
            return
        before = one.service
        one.came(hour, Came(partition, policy, _first(numbers), numbers.service))
        for block in numbers.blocks:
            self._numbers.add(name, block.block, hour, int.from_bytes(block.bits, "little"))
        for loss in numbers.lost:
            one.losses.tell(hour, loss)
        if self._numbers.many(name) > _MOST_BLOCKS:
            self._numbers.keep(name, {})
            one.blind = max(one.hours)
        self._runs.put(name, one)
        if one.service != before:
            _leave(self._runs_of, before, name)
        _join(self._runs_of, one.service, name)
        self._looks[self._due(hour, policy)].add(name)

    def _new_run(self, service: str, hour: int) -> Run | None:
        """None where the service has too many already."""
        known = self._service(service)
        if len(self._runs_of.get(service, ())) < _MOST_RUNS + _MOST_WAITING:
            # Of this one some numbers may have been turned away before.
            return Run(blind=known.blind)
        known.blind = max(known.blind, hour)
        self._services.put(service, known)
        return None

    def judge(self, until: int) -> Iterator[Signal]:
        """What is found of the time before the hour `until`; of that all is known."""
        self._index()
        known = self._known.get(_STATE)
        # Of state from before this rule hours are known, but no numbers of them.
        if known is None or until - 1 <= known.judged or len(known.begins) < self.partitions:
            return
        # Of the hour in which the last of them began some numbers may not have been told.
        begin = max(known.begins.values()) + 1
        while self._looks and (hour := min(self._looks)) < until:
            touched: dict[str, str] = {}
            for name in sorted(self._looks.pop(hour)):
                if (one := self._runs.get(name)) is not None:
                    touched.setdefault(one.service, "")
                    if (policy := self._look(name, one, hour, begin)) is not None:
                        touched[one.service] = policy
            for service, policy in sorted(touched.items()):
                if policy:
                    yield from self._signals(service, hour, policy)
                self._bound(service, hour)
        known.judged = until - 1
        self._known.put(_STATE, known)

    def _look(self, name: str, one: Run, hour: int, begin: int) -> str | None:
        """The policy that counts where what the run lacks is another now."""
        if self._rested.get(name) == hour:
            del self._rested[name]
        if one.rests(hour) and one.decided + WINDOW <= hour:
            self._forget(name, one)
            return None
        changed = None
        waiting = [(at, came.policy) for at, came in one.hours.items() if at <= hour]
        due = sorted((self._due(at, policy), at, policy) for at, policy in waiting)
        for end, at, policy in due:
            if end > hour:
                break
            if self._decide(name, one, at, end, begin):
                changed = policy
            self._runs.put(name, one)
        if changed is not None:
            self._note_lacking(name, one)
        self._look_for_rest(name, one, hour)
        return changed

    def _decide(self, name: str, one: Run, at: int, end: int, begin: int) -> bool:
        start = None
        if one.decided == NOT_YET:
            start = began(name, min(one.hours))
            # Of one that began before, numbers may be forgotten.
            if start is not None and start <= self._service(one.service).forgot:
                start = None
        blocks = self._numbers.of(name)
        changed = one.decide(blocks, at, end, begin, start)
        self._numbers.keep(name, blocks)
        return changed

    def _look_for_rest(self, name: str, one: Run, hour: int) -> None:
        """Look at the run when it has rested for long, as seen in this hour."""
        rest = one.decided + WINDOW
        if one.decided != NOT_YET and hour < rest < self._rested.get(name, rest + 1):
            self._rested[name] = rest
            self._looks[rest].add(name)

    def _signals(self, service: str, hour: int, policy_version: str) -> Iterator[Signal]:
        lacking = ((name, self._runs.peek(name)) for name in sorted(self._lacking.get(service, ())))
        found = [holes for name, one in lacking if one is not None and (holes := one.lacks(name))]
        if (gone := self._service(service).gone) is not None:
            found.append(gone)
        # What has ended is said though the rule may be off by now.
        if not found:
            yield signal_of(sequence_holes.whole(service, hour), policy_version)
            return
        judge = self._judges.of(self._policies.named(policy_version))
        for given in judge.as_set([sequence_holes.lacks(service, found)]):
            yield signal_of(given, policy_version)

    def _bound(self, service: str, hour: int) -> None:
        """Forget runs where too many rest: the whole ones first, and those that rested longest."""
        names = self._runs_of.get(service, set())
        if len(names) <= _MOST_RUNS:
            return
        lacking = self._lacking.get(service, set())
        resting = [
            (name in lacking, one.decided, name)
            for name in names
            if (one := self._runs.peek(name)) and one.rests(hour)
        ]
        known = self._service(service)
        for _, decided, name in sorted(resting)[: max(0, len(resting) - _MOST_RUNS)]:
            known.forgot = max(known.forgot, decided)
            self._services.put(service, known)
            if (one := self._runs.get(name)) is not None:
                self._forget(name, one)

    def _forget(self, name: str, one: Run) -> None:
        """Forget a run that rests; what is told already of later hours stays."""
        if (lacked := one.lacks(name)) is not None:
            known = self._service(one.service)
            known.lose(lacked)
            self._services.put(one.service, known)
        for index in (self._runs_of, self._lacking):
            _leave(index, one.service, name)
        self._rested.pop(name, None)
        if one.hours:
            again = one.anew()
            self._runs.put(name, again)
            _join(self._runs_of, again.service, name)
        else:
            self._runs.remove(name)

    def _note_lacking(self, name: str, one: Run) -> None:
        if one.lacks(name) is None:
            _leave(self._lacking, one.service, name)
        else:
            _join(self._lacking, one.service, name)

    def _service(self, service: str) -> Service:
        return self._services.get(service) or Service()

    def _due(self, hour: int, policy: str) -> int:
        """By the end of which hour what was given out in `hour` is to have come."""
        return hour + self._policies.named(policy).sequences.late_hours

    def _index(self) -> None:
        """What is known from before a restart, once all of it is there."""
        if self._is_indexed:
            return
        self._is_indexed = True
        judged = (self._known.get(_STATE) or _Known()).judged
        for name in self._runs:
            one = self._runs.peek(name)
            if one is None:
                continue
            _join(self._runs_of, one.service, name)
            self._note_lacking(name, one)
            for hour, came in one.hours.items():
                self._looks[self._due(hour, came.policy)].add(name)
            self._look_for_rest(name, one, judged)


def _first(numbers: RunNumbers) -> int:
    """The lowest number that is told of."""
    told = [loss.first for loss in numbers.lost]
    if numbers.blocks:
        first = min(numbers.blocks, key=lambda block: block.block)
        told.append(lowest(first.block, int.from_bytes(first.bits, "little")))
    return min(told)


def _join(index: _Index, service: str, name: str) -> None:
    index.setdefault(service, set()).add(name)


def _leave(index: _Index, service: str, name: str) -> None:
    names = index.get(service, set())
    names.discard(name)
    if not names:
        index.pop(service, None)


def _pack(known: _Known) -> bytes:
    begins = sorted(known.begins.items())
    return json.dumps([_FORM, known.judged, begins], separators=(",", ":")).encode()


def _unpack(packed: bytes) -> _Known:
    form, judged, begins = json.loads(packed)
    if form != _FORM:
        raise StateFormError("hours of numbers", form)
    return _Known(judged, dict(begins))
