"""Watching runs: numbers of all partitions come together, and what the rule says goes out as signals.

In the one partition of the signals topic where attendance is sent, which says what time is complete.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keytrail.schemas.records import Attendance, RunNumbers, Signal
from keytrail.stream.detections import sequence_holes
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.signals import signal_of
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences import run as runs
from keytrail.stream.sequences.bitmaps import lowest
from keytrail.stream.sequences.run import NOT_YET, Block, Run, Teller, began
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import StateChange, StateStore

WINDOW = 28 * 24  # hours of rest after which a run is forgotten
_MOST_RUNS = 1_000  # of a service, beside those that wait to be decided on
_MOST_WAITING = 10_000  # of those
_MOST_BLOCKS = 65_536  # of a run: 67 million numbers
_FORM = 1  # of the packed state
_STATE = "all"


@dataclass
class _Known:
    """Hours up to `judged` were judged.  `begins`: from which hour on each partition tells numbers.

    Runs whose latest number came in the hour `forgot`, or before, may have been forgotten.
    """

    judged: int = NOT_YET
    forgot: int = NOT_YET
    begins: dict[int, int] = field(default_factory=dict)


class SequenceWatch:
    """Not thread-safe.  `partitions`: how many the events topic has.

    `_looks` says in which hours which runs are to be looked at, and `_rested` when that is for a long rest:
    it is put off once that hour has come, not with each number.
    """

    def __init__(self, policies: Timeline, partitions: int) -> None:
        self.partitions = partitions
        self._policies = policies
        self._judges = Judges()
        self._known: StateStore[_Known] = StateStore("sequence-hours", _pack, _unpack)
        self._runs: StateStore[Run] = StateStore("sequence-run", runs.pack, runs.unpack)
        self._blocks: StateStore[Block] = StateStore("sequence-block", runs.pack_block, runs.unpack_block)
        self._blind: StateStore[int] = StateStore("sequence-blind", _pack_hour, int)
        self._stores: tuple[StateStore[Any], ...] = (self._known, self._runs, self._blocks, self._blind)
        self._blocks_of: dict[str, set[int]] = defaultdict(set)
        self._runs_of: dict[str, set[str]] = defaultdict(set)
        self._lacking: dict[str, set[str]] = defaultdict(set)
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
        teller = Teller(attendance.partition, policy_version)
        for numbers in attendance.numbers:
            self._take(numbers, teller)

    def _take(self, numbers: RunNumbers, teller: Teller) -> None:
        name, hour = numbers.producer_id, numbers.hour
        one = self._runs.get(name)
        if one is None:
            if len(self._runs_of[numbers.service]) >= _MOST_RUNS + _MOST_WAITING:
                self._blind.put(numbers.service, max(hour, self._blind.get(numbers.service) or NOT_YET))
                return
            one = Run()
        before = one.service
        one.came(hour, teller)
        for block in numbers.blocks:
            self._add(name, block.block, hour, int.from_bytes(block.bits, "little"))
        if numbers.blocks:
            first = min(numbers.blocks, key=lambda block: block.block)
            one.name(numbers.service, hour, lowest(first.block, int.from_bytes(first.bits, "little")))
        for loss in numbers.lost:
            one.name(numbers.service, hour, loss.first)
            one.tell(hour, loss)
        if len(self._blocks_of[name]) > _MOST_BLOCKS:
            self._drop_blocks(name)
            one.blind = max(one.hours)
        self._runs.put(name, one)
        if one.service != before:
            self._leave(before, name)
            self._runs_of[one.service].add(name)
        self._looks[self._due(hour, teller)].add(name)

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
                    if (policy := self._look(name, one, hour, begin, known)) is not None:
                        touched[one.service] = policy
            for service, policy in sorted(touched.items()):
                if policy:
                    yield from self._signals(service, hour, policy)
                self._bound(service, known)
        known.judged = until - 1
        self._known.put(_STATE, known)

    def _look(self, name: str, one: Run, hour: int, begin: int, known: _Known) -> str | None:
        """The policy that counts where what the run lacks is another now."""
        if self._rested.get(name) == hour:
            del self._rested[name]
        if not one.hours and one.latest + WINDOW <= hour:
            self._forget(name, one, known)
            return None
        changed = None
        begin = max(begin, self._blind.get(one.service) or NOT_YET)
        start = began(name)
        since = None if start is None or start <= known.forgot else start
        due = sorted((self._due(at, teller), at, teller.policy) for at, teller in one.hours.items())
        for end, at, policy in due:
            if end > hour:
                break
            if self._decide(name, one, at, end, begin, since):
                changed = policy
            self._runs.put(name, one)
        if changed is not None:
            self._note_lacking(name, one)
        rest = one.latest + WINDOW
        if rest > hour and rest < self._rested.get(name, rest + 1):
            self._rested[name] = rest
            self._looks[rest].add(name)
        return changed

    def _decide(self, name: str, one: Run, at: int, end: int, begin: int, since: int | None) -> bool:
        numbers = self._blocks_of[name]
        blocks = {number: self._block(name, number) for number in numbers}
        before = {number: dict(block) for number, block in blocks.items()}
        changed = one.decide(blocks, at, end, begin, since)
        for number, block in before.items():
            left = blocks.get(number)
            if left is None:
                self._blocks.remove(_block_name(name, number))
                numbers.discard(number)
            elif left != block:
                self._blocks.put(_block_name(name, number), left)
        if not numbers:
            del self._blocks_of[name]
        return changed

    def _signals(self, service: str, hour: int, policy_version: str) -> Iterator[Signal]:
        lacking = ((name, self._runs.peek(name)) for name in sorted(self._lacking[service]))
        found = [holes for name, one in lacking if one is not None and (holes := one.lacks(name))]
        # What has ended is said though the rule may be off by now.
        if not found:
            yield signal_of(sequence_holes.whole(service, hour), policy_version)
            return
        judge = self._judges.of(self._policies.named(policy_version))
        for given in judge.as_set([sequence_holes.lacks(service, found)]):
            yield signal_of(given, policy_version)

    def _bound(self, service: str, known: _Known) -> None:
        """Forget runs of a service that has too many: the whole ones first, and those that rested longest."""
        names = self._runs_of[service]
        if len(names) <= _MOST_RUNS:
            return
        resting = [(name, one) for name in names if (one := self._runs.peek(name)) and not one.hours]
        resting.sort(key=lambda each: (each[1].lacks(each[0]) is not None, each[1].latest, each[0]))
        for name, one in resting[: len(names) - _MOST_RUNS]:
            self._forget(name, one, known)

    def _forget(self, name: str, one: Run, known: _Known) -> None:
        self._drop_blocks(name)
        self._runs.remove(name)
        self._leave(one.service, name)
        self._rested.pop(name, None)
        known.forgot = max(known.forgot, one.latest)

    def _leave(self, service: str, name: str) -> None:
        for index in (self._runs_of, self._lacking):
            index[service].discard(name)
            if not index[service]:
                del index[service]

    def _drop_blocks(self, name: str) -> None:
        for number in self._blocks_of.pop(name, ()):
            self._blocks.remove(_block_name(name, number))

    def _note_lacking(self, name: str, one: Run) -> None:
        if one.lacks(name) is None:
            self._lacking[one.service].discard(name)
        else:
            self._lacking[one.service].add(name)

    def _add(self, name: str, number: int, hour: int, bits: int) -> None:
        block = self._block(name, number)
        block[hour] = block.get(hour, 0) | bits
        self._blocks.put(_block_name(name, number), block)
        self._blocks_of[name].add(number)

    def _block(self, name: str, number: int) -> Block:
        return self._blocks.get(_block_name(name, number)) or {}

    def _due(self, hour: int, teller: Teller) -> int:
        """By the end of which hour what was given out in `hour` is to have come."""
        return hour + self._policies.named(teller.policy).sequences.late_hours

    def _index(self) -> None:
        """What is known from before a restart, once all of it is there."""
        if self._is_indexed:
            return
        self._is_indexed = True
        for name in self._runs:
            one = self._runs.peek(name)
            if one is None:
                continue
            self._runs_of[one.service].add(name)
            self._note_lacking(name, one)
            for hour, teller in one.hours.items():
                self._looks[self._due(hour, teller)].add(name)
            self._rested[name] = one.latest + WINDOW
            self._looks[one.latest + WINDOW].add(name)

    def keeps(self, key: bytes) -> bool:
        """True for a record of the changelog that is the watch's."""
        return key.startswith(tuple(store.prefix for store in self._stores))

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        for store in self._stores:
            if key.startswith(store.prefix):
                store.restore(key, value)
        if key.startswith(self._blocks.prefix):
            number, _, name = key.removeprefix(self._blocks.prefix).decode().partition(" ")
            numbers = self._blocks_of[name]
            if value is not None:
                numbers.add(int(number))
            else:
                numbers.discard(int(number))
            if not numbers:
                del self._blocks_of[name]

    def take_changes(self) -> list[StateChange]:
        return [change for store in self._stores for change in store.take_changes()]


def _block_name(name: str, number: int) -> str:
    return f"{number} {name}"


def _pack(known: _Known) -> bytes:
    begins = sorted(known.begins.items())
    return json.dumps([_FORM, known.judged, known.forgot, begins], separators=(",", ":")).encode()


def _unpack(packed: bytes) -> _Known:
    form, judged, forgot, begins = json.loads(packed)
    if form != _FORM:
        raise StateFormError("hours of numbers", form)
    return _Known(judged, forgot, dict(begins))


def _pack_hour(hour: int) -> bytes:
    return str(hour).encode()
