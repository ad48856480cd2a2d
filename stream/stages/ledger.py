"""The books that each stage keeps of its partition, so that a check need not read everything again.

Pure bookkeeping.  The contract, and how to read a ledger, is in `keytrail.schemas.ledger`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keytrail.schemas import ledger as contract
from keytrail.schemas.ledger import (
    EVENT_LEDGER,
    FINDING_LEDGER,
    EventHours,
    EventLedger,
    FindingLedger,
    Tally,
)
from keytrail.schemas.records import Micros
from keytrail.stream.stages.store import StateChange

KEPT_GAPS = 16
_WRAP = 1 << 64


@dataclass(frozen=True)
class Page:
    """One batch: the offsets read, in order, and what became of them; `read_at` is before all of that."""

    read_at: Micros
    offsets: Sequence[int]
    enriched: Sequence[int]
    dead: Sequence[int]
    duplicates: int
    signals: int


class EventBook:
    """Keeps an `EventLedger`.  Not thread-safe."""

    def __init__(self) -> None:
        self._ledger: EventLedger | None = None

    def restore(self, value: bytes | None) -> None:
        """Take a ledger of the changelog, in its order."""
        self._ledger = contract.unpack_event(value) if value is not None else None

    def enter(self, page: Page) -> None:
        if page.offsets:
            self._ledger = advance(self._ledger, page)

    def add_signals(self, count: int) -> None:
        """Signals that no batch gave."""
        if self._ledger is not None:
            self._ledger = replace(self._ledger, signals=self._ledger.signals + count)

    def take_changes(self) -> list[StateChange]:
        """The ledger, for the end of the batch's changes."""
        return [StateChange(EVENT_LEDGER, contract.pack(self._ledger))] if self._ledger else []


class FindingBook:
    """Keeps a `FindingLedger`.  Not thread-safe."""

    def __init__(self) -> None:
        self._ledger: FindingLedger | None = None

    def restore(self, value: bytes | None) -> None:
        """Take a ledger of the changelog, in its order."""
        self._ledger = contract.unpack_finding(value) if value is not None else None

    def enter(self, began: Micros, *, signals: int, anomalies: int, hours: EventHours | None) -> None:
        """`began` is before the first of the anomalies was written; `hours` as they are now."""
        ledger = self._ledger or FindingLedger(began)
        self._ledger = replace(
            ledger,
            signals=ledger.signals + signals,
            anomalies=ledger.anomalies + anomalies,
            hours=hours,
        )

    def take_changes(self) -> list[StateChange]:
        """The ledger, for the end of the batch's changes."""
        return [StateChange(FINDING_LEDGER, contract.pack(self._ledger))] if self._ledger else []


def advance(ledger: EventLedger | None, page: Page) -> EventLedger:
    """The ledger with a page entered.

    A page before the ledger's end says that the topic was made anew, or is read again: its books begin anew.
    """
    first = page.offsets[0]
    if ledger is None or first < ledger.next_offset:
        ledger = EventLedger(page.read_at, first, first, signals=ledger.signals if ledger else 0)
    return replace(
        ledger,
        next_offset=page.offsets[-1] + 1,
        records=ledger.records + len(page.offsets),
        enriched=_add(ledger.enriched, page.enriched),
        dead=_add(ledger.dead, page.dead),
        duplicates=ledger.duplicates + page.duplicates,
        signals=ledger.signals + page.signals,
        gaps=(ledger.gaps + _gaps(ledger.next_offset, page.offsets))[-KEPT_GAPS:],
    )


def digest(offsets: Sequence[int]) -> int:
    """The sum, modulo 2^64, of ClickHouse's `intHash64` over the offsets."""
    hashed = np.asarray(offsets, dtype=np.uint64) ^ np.uint64(0x4CF2D2BAAE6DA887)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashed ^= hashed >> np.uint64(33)
        hashed *= np.uint64(factor)
    hashed ^= hashed >> np.uint64(33)
    return int(hashed.sum(dtype=np.uint64))


def _add(tally: Tally, offsets: Sequence[int]) -> Tally:
    return Tally(tally.count + len(offsets), (tally.digest + digest(offsets)) % _WRAP)


def _gaps(next_offset: int, offsets: Sequence[int]) -> tuple[tuple[int, int], ...]:
    ends = np.asarray(offsets, dtype=np.int64)
    firsts = np.concatenate(([next_offset], ends[:-1] + 1))
    jumps = np.flatnonzero(ends > firsts)[-KEPT_GAPS:]
    return tuple((int(firsts[at]), int(ends[at])) for at in jumps)
