"""The conservation check: counts both sides of every stage of a running pipeline, and compares them.

What is compared must belong to one moment although records flow all the while.  So, in this order:

1. The ledgers are read: they say what was written, up to which source offset.
2. Then the ends of the topics written to, marks and open transactions included: what the ledgers count
   lies before them, since it was written before its transaction was committed.
3. The sink is waited for, not for long, until it has committed these ends.
4. Then the rows are counted, of the ledgers' source offsets only.
5. Signals and anomalies carry no source offset: their ledgers are read once more, so that the true count
   at step 4 lies between the two.

A difference is told only when a second look finds one too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.ledger import EventLedger, FindingLedger, Tally
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import (
    ANOMALIES,
    DEAD_LETTERS,
    ENRICHED,
    EVENTS,
    FINDING_STATE,
    SIGNALS,
    SINK_GROUP,
    SUBJECT_STATE,
    WORKER_GROUP,
    Topic,
)
from keytrail.sinks import balance
from keytrail.sinks.balance import Balance, Rows
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.differences import Differences, Stretch
from keytrail.sinks.ledgers import LedgerReader, as_one
from keytrail.sinks.row_counts import DEAD_ROWS, EVENT_ROWS, CountedTable, RowCounts
from keytrail.sinks.spans import Span, SpanReader

_POLL_S = 0.1
_SECOND_LOOK_S = 1.0
_STORED = (ENRICHED, ANOMALIES, DEAD_LETTERS)
_TOPICS = (EVENTS, SIGNALS, *_STORED, SUBJECT_STATE, FINDING_STATE)


@dataclass(frozen=True)
class Cut:
    """Steps 1 to 3: what is compared.  `stored` is how far the sink was when it was waited for no longer."""

    incarnations: Mapping[str, str]
    events: Mapping[int, EventLedger]
    findings: FindingLedger
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]
    stored: Mapping[Place, int]

    @property
    def partitions(self) -> range:
        return range(sum(place.topic == EVENTS.name for place in self.ends))

    def places(self, topic: Topic) -> list[Place]:
        return [place for place in self.ends if place.topic == topic.name]

    def on_the_way(self, places: Sequence[Place]) -> int:
        """Offsets before the cut that the sink has yet to deal with."""
        return sum(self.ends[place] - self.reached(place) for place in places)

    def reached(self, place: Place) -> int:
        """How far before the cut the sink is."""
        return min(self.ends[place], max(self.stored.get(place, 0), self.begins[place]))

    def stretches(self, topic: Topic) -> list[Stretch]:
        """What the sink has dealt with."""
        incarnation = self.incarnations[topic.name]
        return [
            Stretch(place, incarnation, self.begins[place], self.reached(place))
            for place in self.places(topic)
        ]


class Books:
    """Checks one pipeline.  Not thread-safe; to be closed, or used in a `with`.

    Methods raise `UnavailableError` where Kafka or ClickHouse does not answer, or topics are not there.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        patience_s: float = 5.0,
        clock: Callable[[], float] = monotonic,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        """`patience_s` bounds the waits for worker and sink; who does not come in time is behind."""
        self._cluster = Cluster(settings.kafka)
        self._spans = SpanReader(settings.kafka)
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        self._rows = RowCounts(clickhouse)
        self._differences = Differences(clickhouse, self._spans)
        self._patience_s = patience_s
        self._clock = clock
        self._wait = wait

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spans.close()

    def check(self) -> list[Balance]:
        """Every stage's balance, in the order of the flow."""
        balances = self._look()
        if not all(each.balanced for each in balances):
            self._wait(_SECOND_LOOK_S)
            balances = self._look()
        return balances

    def _look(self) -> list[Balance]:
        incarnations, ledgers = self._begin()
        cut = self._cut(incarnations, ledgers)
        set_aside = self._rows.set_aside()
        return [
            *self._workers(cut),
            *self._events(cut, set_aside),
            *self._letters(cut),
            self._findings(cut, ledgers, set_aside),
            self._anomalies(cut, ledgers, set_aside),
        ]

    def _begin(self) -> tuple[Mapping[str, str], LedgerReader]:
        names = [topic.name for topic in _TOPICS]
        found = self._cluster.topics(names)
        if missing := sorted(set(names) - found.keys()):
            raise UnavailableError(
                f"There is no topic {', '.join(missing)}.", "Create it with `keytrail prepare`."
            )
        incarnations = {name: state.incarnation for name, state in found.items()}
        return incarnations, LedgerReader(self._cluster, self._spans, found[EVENTS.name].partitions)

    def _cut(self, incarnations: Mapping[str, str], ledgers: LedgerReader) -> Cut:
        findings = as_one(ledgers.findings())
        events = ledgers.events()
        partitions = range(ledgers.partitions)
        sources = [Place(EVENTS.name, number) for number in partitions]
        stored = [Place(topic.name, number) for topic in _STORED for number in partitions]
        ends = self._cluster.ends(stored, committed=False) | self._cluster.ends(sources)
        begins = self._cluster.beginnings([*sources, *stored])
        cut = Cut(incarnations, events, findings, begins, ends, {})
        deadline = self._clock() + self._patience_s
        while True:
            committed = self._cluster.committed(SINK_GROUP, stored)
            cut = replace(cut, stored={place: commit.offset for place, commit in committed.items()})
            if not cut.on_the_way(stored) or self._clock() > deadline:
                return cut
            self._wait(_POLL_S)

    def _workers(self, cut: Cut) -> list[Balance]:
        balances = []
        for number in cut.partitions:
            place = Place(EVENTS.name, number)
            ledger, begin = cut.events.get(number), cut.begins[place]
            gaps = [Span(max(first, begin), end) for first, end in (ledger.gaps if ledger else ())]
            unread = [offset for offset, _ in self._spans.within(place, gaps)]
            balances.append(balance.of_worker(*place, ledger, unread, begin, cut.ends[place]))
        return balances

    def _events(self, cut: Cut, set_aside: Mapping[Place, int]) -> list[Balance]:
        tallies = self._rows.tallies(EVENT_ROWS, cut.events)
        balances = []
        for number, ledger in sorted(cut.events.items()):
            place = Place(ENRICHED.name, number)
            rows = Rows(tallies.get(number, Tally()), set_aside.get(place, 0), cut.on_the_way([place]))
            found = balance.of_rows("events", *place, ledger.enriched, rows)
            if balance.needs_measuring(found, rows):
                found = self._measured(found, EVENT_ROWS, ledger)
                if found.lost:
                    [stretch] = [each for each in cut.stretches(ENRICHED) if each.place == place]
                    found = replace(found, lost_at=self._differences.lost_events(stretch))
            balances.append(found)
        return balances

    def _letters(self, cut: Cut) -> list[Balance]:
        tallies = self._rows.tallies(DEAD_ROWS, cut.events)
        balances = []
        for number, ledger in sorted(cut.events.items()):
            # Of one partition of events; they may be in any partition of the dead letters.
            rows = Rows(tallies.get(number, Tally()), 0, cut.on_the_way(cut.places(DEAD_LETTERS)))
            found = balance.of_rows("dead_letters", EVENTS.name, number, ledger.dead, rows)
            if balance.needs_measuring(found, rows):
                found = self._measured(found, DEAD_ROWS, ledger)
                if found.lost:
                    stretches = cut.stretches(DEAD_LETTERS)
                    found = replace(found, lost_at=self._differences.lost_letters(stretches, number))
            balances.append(found)
        return balances

    def _measured(self, found: Balance, table: CountedTable, ledger: EventLedger) -> Balance:
        topic = ENRICHED if table is EVENT_ROWS else DEAD_LETTERS
        doubles = self._differences.doubled(table, topic.name, found.partition or 0, ledger)
        return replace(balance.measured(found, doubles.count), doubled_at=doubles.places)

    def _findings(self, cut: Cut, ledgers: LedgerReader, set_aside: Mapping[Place, int]) -> Balance:
        """The worker is waited for by its count: its offsets stay behind the marks at a topic's end."""
        before = sum(ledger.signals for ledger in cut.events.values())
        dead = _of(SIGNALS, set_aside)
        deadline = self._clock() + self._patience_s
        while (taken := as_one(ledgers.findings()).signals) + dead < before and self._clock() < deadline:
            self._wait(_POLL_S)
        after = sum(ledger.signals for ledger in ledgers.events().values())
        unread = self._unread_signals(cut) if taken + dead < before else 0
        return balance.of_findings(SIGNALS.name, before, taken, dead, after, unread)

    def _unread_signals(self, cut: Cut) -> int:
        """Offsets that wait for the worker, of partitions in which a record waits, not only marks."""
        places = [Place(SIGNALS.name, number) for number in cut.partitions]
        begins, ends = self._cluster.beginnings(places), self._cluster.ends(places)
        committed = self._cluster.committed(WORKER_GROUP, places)
        unread = 0
        for place in places:
            commit = committed.get(place)
            waiting = Span(max(commit.offset if commit else 0, begins[place]), ends[place])
            if next(self._spans.within(place, [waiting]), None):
                unread += waiting.end - waiting.first
        return unread

    def _anomalies(self, cut: Cut, ledgers: LedgerReader, set_aside: Mapping[Place, int]) -> Balance:
        rows = self._rows.anomalies(
            cut.findings.began, _of(ANOMALIES, set_aside), cut.on_the_way(cut.places(ANOMALIES))
        )
        after = as_one(ledgers.findings())
        found = balance.of_anomalies(ANOMALIES.name, cut.findings, rows, after)
        if found.lost:
            found = replace(found, lost_at=self._differences.lost_anomalies(cut.stretches(ANOMALIES)))
        if found.doubled:
            doubles = self._differences.doubled_anomalies(cut.findings.began)
            found = replace(found, doubled_at=doubles.places)
        return found


def _of(topic: Topic, set_aside: Mapping[Place, int]) -> int:
    return sum(count for place, count in set_aside.items() if place.topic == topic.name)
