"""Notes on numbers: which ones of which runs one partition of the events topic has seen.

A number counts in the hour that its partition has reached, or in the event's own where that is further: what
a partition tells of an hour is all there once it has reached a later one, whatever the batches are.
"""

from collections.abc import Iterator
from itertools import chain

from keytrail.schemas.records import Event, NumberBlock, RunNumbers, ToldLoss
from keytrail.stream.findings.signals import capped
from keytrail.stream.sequences.bitmaps import BLOCK, blocks_of
from keytrail.stream.stages.store import StateChange, StateStore

AUDIT_LOSS = "audit_loss"  # the event by which the SDK tells what will not arrive
_MOST_BYTES = 400_000  # of one signal, about
_MOST_BLOCKS = 2_000  # of one run in a signal
_BLOCK_BYTES = BLOCK // 8 + 10
_LEAST_BYTES = 100
_LOSS_BYTES = 40
_MOST_WHY = 60  # characters
_MOST_DIGITS = 18
_STATE = "from"


class SequenceNotes:
    """Of one partition.  Not thread-safe."""

    def __init__(self) -> None:
        self._from: StateStore[int] = StateStore("numbers-from", _pack, int)
        self._begin: int | None = None
        # By hour and run; the lowest comes first, and the service is the one that its event names.
        self._numbers: dict[int, dict[str, list[int]]] = {}
        self._services: dict[tuple[int, str], str] = {}
        self._lost: list[RunNumbers] = []

    @property
    def prefix(self) -> bytes:
        return self._from.prefix

    @property
    def begin(self) -> int:
        """The hour from which on all numbers are told; -1 before anything was noted."""
        if self._begin is None:
            self._begin = self._from.get(_STATE)
        return -1 if self._begin is None else self._begin

    def start(self, hour: int) -> None:
        """From this hour on all is noted, where that is not so already."""
        if self.begin == -1:
            self._begin = hour
            self._from.put(_STATE, hour)

    def note(self, event: Event, hour: int) -> None:
        """The event counts in this hour.  Events come in the order of the partition."""
        number, run = event.sequence, event.producer_id
        if number <= 0 or not run:
            return
        by_run = self._numbers.get(hour)
        if by_run is None:
            by_run = self._numbers[hour] = {}
        numbers = by_run.get(run)
        if numbers is None:
            by_run[run] = [number]
            self._services[hour, run] = capped(event.service)
        elif number > numbers[0]:
            numbers.append(number)
        else:
            service = capped(event.service)
            if number == numbers[0]:
                # Of two services the same one, whichever came first.
                service = min(service, self._services[hour, run])
            numbers.insert(0, number)
            self._services[hour, run] = service
        if event.action == AUDIT_LOSS and (lost := _told(event)) is not None:
            told_of = capped(event.attributes["producer_id"])
            self._lost.append(RunNumbers(told_of, capped(event.service), hour, [], [lost]))

    def take(self) -> Iterator[list[RunNumbers]]:
        """What was noted since the last call, in parts that fit into a signal each."""
        part: list[RunNumbers] = []
        size = 0
        for numbers in chain(self._lost, self._runs()):
            weight = 4 * (len(numbers.producer_id) + len(numbers.service)) + _LEAST_BYTES
            weight += _BLOCK_BYTES * len(numbers.blocks)
            weight += sum(4 * len(loss.why) + _LOSS_BYTES for loss in numbers.lost)
            if part and size + weight > _MOST_BYTES:
                yield part
                part, size = [], 0
            part.append(numbers)
            size += weight
        if part:
            yield part
        self._numbers.clear()
        self._services.clear()
        self._lost.clear()

    def _runs(self) -> Iterator[RunNumbers]:
        for hour, by_run in self._numbers.items():
            for run, numbers in by_run.items():
                name, service = capped(run), self._services[hour, run]
                blocks = [
                    NumberBlock(block, bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
                    for block, bits in blocks_of(numbers).items()
                ]
                for start in range(0, len(blocks), _MOST_BLOCKS):
                    yield RunNumbers(name, service, hour, blocks[start : start + _MOST_BLOCKS])

    def take_changes(self) -> list[StateChange]:
        return self._from.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._from.restore(key, value)


def _told(event: Event) -> ToldLoss | None:
    """What the event tells of a loss, if it can be read."""
    said = event.attributes
    numbers = [said.get(name, "") for name in ("count", "first", "last")]
    if not said.get("producer_id") or not all(
        text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS for text in numbers
    ):
        return None
    count, first, last = (int(text) for text in numbers)
    if not 1 <= first <= last or count < 1:
        return None
    return ToldLoss(said.get("why", "")[:_MOST_WHY], count, first, last)


def _pack(hour: int) -> bytes:
    return str(hour).encode()
