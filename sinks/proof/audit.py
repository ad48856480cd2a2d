"""The whole proof of one pipeline: every log, in ClickHouse, in Kafka, and the one against the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import CHECKPOINTS, ENRICHED
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.cluster import Cluster
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.comparison import Difference, Kind, Reader, by_marks
from keytrail.sinks.proof.evidence import Evidence, Problem, gather
from keytrail.sinks.proof.journal import Journal
from keytrail.sinks.proof.leaf import Leaves
from keytrail.sinks.proof.progress import dealt_with
from keytrail.sinks.proof.sources import NO_END, Records, Rows, event_id
from keytrail.sinks.proof.store import ProofTables
from keytrail.sinks.proof.trust import Trust
from keytrail.sinks.proof.unsigned import Unsigned, unsigned
from keytrail.sinks.proof.verification import LogCheck, Verdict
from keytrail.sinks.retention.cuts import true_cuts
from keytrail.sinks.spans import SpanReader

MOST_NAMED = 1_000


@dataclass(frozen=True)
class Named:
    """A difference with the event's id, where it is known: of what stands there now, or stood there."""

    log: Log
    source: str
    difference: Difference
    event_id: str


class _Table:
    """What ClickHouse has."""

    def __init__(self, settings: Settings, leaves: Leaves) -> None:
        self.clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        self.proof = ProofTables(self.clickhouse)
        self._leaves = leaves
        self.rows = Rows(self.clickhouse, leaves)

    def believe_cuts(self, evidence: Evidence) -> None:
        """Those whose events were signed; what else says it was a cut is a row that is gone."""
        before = {log: signed[-1].checkpoint.before for log, signed in evidence.signed.items()}
        self.rows = Rows(self.clickhouse, self._leaves, true_cuts(self.clickhouse, before))


class _Topic:
    """What Kafka has."""

    def __init__(self, settings: Settings, leaves: Leaves) -> None:
        self.cluster = Cluster(settings.kafka)
        self.spans = SpanReader(settings.kafka)
        self.records = Records(self.cluster, self.spans, leaves)
        self.journal = Journal(settings.kafka, self.cluster, self.spans)


class Audit:
    """To be closed, or used in a `with`.  Not thread-safe."""

    def __init__(self, settings: Settings, trust: Trust, *, clickhouse: bool, kafka: bool) -> None:
        """What is asked: ClickHouse, Kafka, or the one against the other."""
        leaves = Leaves(Registry(settings.registry) if settings.registry.url else _NoRegistry())
        self._trust = trust
        self._table = _Table(settings, leaves) if clickhouse else None
        self._topic = _Topic(settings, leaves) if kafka else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._topic:
            self._topic.spans.close()

    def evidence(self, anchor: Sequence[str]) -> Evidence:
        """What was signed.  Raises `KeytrailError` where nothing was, `UnavailableError`: no engine."""
        proof = self._table.proof if self._table else None
        journal, partitions = None, 0
        if self._topic and (found := self._topic.cluster.topics([CHECKPOINTS.name])):
            journal, partitions = self._topic.journal, found[CHECKPOINTS.name].partitions
        evidence = gather(self._trust, proof, journal, anchor, partitions)
        if not evidence.signed and not evidence.problems:
            raise KeytrailError(
                "There are no checkpoints: nothing was ever signed.",
                "Run `keytrail notary`, which is part of `keytrail up`.",
            )
        if self._table:
            self._table.believe_cuts(evidence)
        return evidence

    def rows(self, evidence: Evidence, since: Micros | None) -> Iterator[Verdict]:
        """Each log's rows in ClickHouse; what differs is named by Kafka's records, where they are at hand."""
        if self._table is None:
            return
        current = self._current()
        for log, signed in evidence.signed.items():
            reference = self._topic.records if self._topic and log.incarnation == current else None
            yield LogCheck(self._table.proof, self._table.rows, reference).check(log, signed, since)

    def records(self, evidence: Evidence, since: Micros | None) -> Iterator[Verdict]:
        """Each log's records in Kafka; those of a topic that was deleted since are unchecked.

        That is a problem where ClickHouse is not asked about them either.
        """
        if self._topic is None:
            return
        current = self._current()
        proof = self._table.proof if self._table else None
        for log, signed in evidence.signed.items():
            if log.incarnation == current:
                yield LogCheck(proof, self._topic.records, None).check(log, signed, since)
            else:
                yield self._gone(log, signed[-1].checkpoint)

    def _gone(self, log: Log, newest: Checkpoint) -> Verdict:
        verdict = Verdict(log, Records.name, unchecked=newest.size, before=newest.before)
        if self._table is None:
            what = f"The {newest.size} records of {log.origin} were not checked: their topic was deleted."
            verdict.problems.append(Problem(log, f"{what}  Verify their rows in ClickHouse."))
        return verdict

    def not_signed(self, evidence: Evidence) -> tuple[Sequence[Unsigned], list[Verdict]]:
        """Rows behind the newest checkpoints, and, with Kafka at hand, how they compare with its records."""
        if self._table is None:
            return (), []
        before = {log: signed[-1].checkpoint.before for log, signed in evidence.signed.items()}
        verdicts = []
        due = dealt_with(self._topic.cluster) if self._topic else {}
        found = unsigned(self._table.clickhouse, before)
        if self._topic:  # logs of which the sink has committed nothing
            due = {each.log: 0 for each in found if self._is_current(each.log)} | due
        behind = {each.log for each in found}
        for log, end in due.items():
            if self._topic and (log in behind or end > before.get(log, 0)):
                verdict = _tail(self._table.rows, self._topic.records, log, before.get(log, 0), end)
                verdicts += [] if verdict.good else [verdict]
        for each in found:
            if each.overdue or not self._may_be_signed(each):
                verdict = Verdict(each.log, self._table.rows.name)
                what = f"{each.rows} rows, from offset {each.first} to {each.last}, are in no checkpoint"
                verdict.problems.append(Problem(each.log, f"{what}, and no notary is going to sign them."))
                verdicts.append(verdict)
        return found, verdicts

    def _may_be_signed(self, rows: Unsigned) -> bool:
        """Whether the notary can come to them: Kafka, where it is at hand, has that log and those offsets."""
        if self._topic is None:
            return True
        return self._is_current(rows.log) and rows.last < self._topic.records.end(rows.log)

    def _is_current(self, log: Log) -> bool:
        """Whether it is a partition of the enriched topic that is there now."""
        topics = self._topic.cluster.topics([ENRICHED.name]) if self._topic else {}
        topic = topics.get(ENRICHED.name)
        return (
            topic is not None
            and log.incarnation == topic.incarnation
            and 0 <= log.partition < topic.partitions
        )

    def named(self, verdicts: Sequence[Verdict]) -> Iterator[Named]:
        """The differences, the first thousand of a log with the ids of their events."""
        for verdict in verdicts:
            shown = verdict.differences[:MOST_NAMED]
            ids = self._event_ids(verdict, shown)
            for each in verdict.differences:
                yield Named(verdict.log, verdict.source, each, ids.get(each.first, ""))

    def _event_ids(self, verdict: Verdict, differences: Sequence[Difference]) -> dict[int, str]:
        offsets = [each.first for each in differences if each.kind is not Kind.UNCLEAR and each.count == 1]
        if not offsets:
            return {}
        datums: dict[int, bytes] = {}
        if self._table:
            datums |= self._table.rows.datums(verdict.log, offsets)
        if self._topic and verdict.log.incarnation == self._current():
            datums |= self._topic.records.datums(verdict.log, offsets)
        return {offset: event_id(datum) for offset, datum in datums.items()}

    def _current(self) -> str | None:
        """The incarnation of the enriched topic that is there now."""
        topics = self._topic.cluster.topics([ENRICHED.name]) if self._topic else {}
        return topics[ENRICHED.name].incarnation if topics else None


def _tail(rows: Rows, records: Records, log: Log, first: int, end: int) -> Verdict:
    """Rows from offset `first` on against Kafka's records, of which those before `end` must be rows."""
    verdict = Verdict(log, rows.name)
    found = Reader(rows.leaves(log, first, NO_END)).until(NO_END).without_doubles()
    found = found.merged(rows.set_aside(log, first, end))
    there = set(found.offsets.tolist())
    # Read after the rows: what is a row is a record by then.
    leaves = Reader(records.leaves(log, first, NO_END)).until(NO_END)
    due = {offset: leaf for offset, leaf in leaves.pairs() if offset < end or offset in there}
    verdict.differences = by_marks(due, found)
    return verdict


class _NoRegistry:
    """For who verifies without one: only records that are no rows need it."""

    def text_of(self, schema_id: int) -> str:
        raise UnavailableError(
            f"A dead letter was written with schema {schema_id}, and no schema registry is known.",
            "Give its address with --registry.",
        )
