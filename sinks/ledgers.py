"""The worker's ledgers, read from the ends of its changelogs."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from keytrail.schemas.ledger import (
    EVENT_LEDGER,
    FINDING_LEDGER,
    EventLedger,
    FindingLedger,
    unpack_event,
    unpack_finding,
)
from keytrail.schemas.topics import FINDING_STATE, SUBJECT_STATE, Topic
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.spans import Span, SpanReader

# A transaction's ledger is its last record; what may follow are marks, and transactions that were given up.
_TAIL = 64
_DEEPER = 64

Ledger = TypeVar("Ledger")


class LedgerReader:
    """Not thread-safe."""

    def __init__(self, cluster: Cluster, spans: SpanReader, partitions: int) -> None:
        self._cluster = cluster
        self._spans = spans
        self.partitions = partitions

    def events(self) -> dict[int, EventLedger]:
        """The newest ledger of each partition of the events topic; one that has none is left out."""
        return self._newest(SUBJECT_STATE, EVENT_LEDGER, unpack_event)

    def findings(self) -> dict[int, FindingLedger]:
        """The newest ledger of each partition of the signals topic; one that has none is left out."""
        return self._newest(FINDING_STATE, FINDING_LEDGER, unpack_finding)

    def _newest(self, topic: Topic, key: bytes, unpack: Callable[[bytes], Ledger]) -> dict[int, Ledger]:
        places = [Place(topic.name, number) for number in range(self.partitions)]
        begins, ends = self._cluster.beginnings(places), self._cluster.ends(places)
        found: dict[int, Ledger] = {}
        left, depth = places, _TAIL
        while left:
            spans = {place: Span(max(begins[place], ends[place] - depth), ends[place]) for place in left}
            for place, message in self._spans.read(spans):
                if message.key() == key and (value := message.value()):
                    found[place.partition] = unpack(value)
            left = [p for p in left if p.partition not in found and ends[p] - depth > begins[p]]
            depth *= _DEEPER
        return found


def as_one(ledgers: Mapping[int, FindingLedger]) -> FindingLedger:
    """The totals of all partitions."""
    if not ledgers:
        return FindingLedger(0)
    return FindingLedger(
        min(ledger.began for ledger in ledgers.values()),
        sum(ledger.signals for ledger in ledgers.values()),
        sum(ledger.anomalies for ledger in ledgers.values()),
    )
