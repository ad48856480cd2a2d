"""A policy tried on past events: the stages of the worker, run over history.

Knows no Kafka, and writes nowhere.  Keys are known beforehand, in their latest form; live, the uses of a
key are judged anew when its record changes, which ends in the same findings but for reviews of break-glass
uses: live, a key counts as it was when it was used.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keytrail.schemas.records import Anomaly, Micros
from keytrail.schemas.topics import Topic
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.schema_source import SchemaTexts
from keytrail.stream.reading.signed import MasterSource, no_masters
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.stages.event_stage import EventBatch, EventOutput, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.stages.store import StateChange
from keytrail.stream.worker.at_hand import Slot


class PastRecord(NamedTuple):
    """A record of the events topic, and its partition."""

    partition: int
    record: SourceRecord


@dataclass
class Counts:
    """Of records: `events` were judged, `duplicates` had been before, and `dead` could not be used."""

    records: int = 0
    events: int = 0
    duplicates: int = 0
    dead: int = 0


@dataclass(frozen=True)
class Changes:
    """What changelogs would be told, by partition of the events topic and of findings; and all workers."""

    events: Mapping[int, Sequence[StateChange]]
    findings: Sequence[StateChange]
    departures: Sequence[StateChange]


class Backtest:
    """One policy tried: an event stage for each partition, and a finding stage over all of them.

    `partitions`: how many the events topic has.  What it keeps grows with subjects, keys and findings, as a
    worker's state does, not with events.  Not thread-safe.
    """

    def __init__(
        self,
        policy: Policy,
        keys: KeyDirectory,
        schemas: SchemaTexts,
        clock: Callable[[], Micros],
        masters: MasterSource = no_masters,
        partitions: int = 1,
    ) -> None:
        self._policies = Timeline(policy)
        self._reader = EventReader(_ReadOnly(schemas), clock, Slot(), masters)
        self._keys = keys
        self._clock = clock
        self._stages: dict[int, EventStage] = {}
        self._latest: dict[str, Anomaly] = {}
        self._departures: list[StateChange] = []
        self.counts = Counts()
        self.finding_stage = FindingStage(self._policies, keys, clock, partitions)

    def event_stage(self, partition: int) -> EventStage:
        stage = self._stages.get(partition)
        if stage is None:
            stage = EventStage(partition, self._reader, self._keys, self._policies, self._clock, Slot())
            self._stages[partition] = stage
        return stage

    def take(self, past: Sequence[PastRecord]) -> None:
        """The next records, each partition's in offset order.

        Raises `UnavailableError` where a schema is needed and the registry is away.
        """
        records: dict[int, list[SourceRecord]] = {}
        for partition, record in past:
            records.setdefault(partition, []).append(record)
        # All are read before any is judged: where reading fails, nothing has changed.
        batches = {partition: self.event_stage(partition).read(some) for partition, some in records.items()}
        outputs = {partition: self._process(partition, batch) for partition, batch in batches.items()}
        # Each partition's in its own order, and among each other by time.
        signals = (output.signals for output in outputs.values())
        merged = heapq.merge(*signals, key=lambda signal: signal.last_seen)
        self._keep(self.finding_stage.process(merged))
        for partition, some in records.items():
            for output in self._judge_anew(partition, some):
                self._keep(self.finding_stage.process(output.signals))
        self._departures += [change for output in outputs.values() for change in output.departures]

    def take_changes(self) -> Changes:
        """What changed since the last call; it is kept in a smaller form from now on."""
        departures, self._departures = self._departures, []
        events = {partition: stage.take_changes() for partition, stage in self._stages.items()}
        return Changes(events, self.finding_stage.take_changes(), departures)

    def _process(self, partition: int, batch: EventBatch) -> EventOutput:
        output = self.event_stage(partition).process(batch)
        self.counts.records += len(batch.offsets)
        self.counts.events += sum(len(stretch.events) for stretch in output.stretches)
        self.counts.duplicates += output.duplicates
        self.counts.dead += len(output.dead)
        return output

    def _judge_anew(self, partition: int, records: Sequence[SourceRecord]) -> Iterator[EventOutput]:
        """Uses of keys of whose owners another partition of the same batches told that they left."""
        stage, by_offset = self.event_stage(partition), {record.offset: record for record in records}
        while due := stage.due():
            yield stage.rejudge(due, [by_offset[offset] for offset in due.offsets if offset in by_offset])

    def findings(self) -> list[Anomaly]:
        """The latest state of each finding."""
        self._keep(self.finding_stage.settle())
        return list(self._latest.values())

    def _keep(self, anomalies: Iterable[Anomaly]) -> None:
        self._latest.update((anomaly.anomaly_id, anomaly) for anomaly in anomalies)


class _ReadOnly:
    """Gives schemas; the enriched one, which live is registered, goes nowhere from here."""

    def __init__(self, schemas: SchemaTexts) -> None:
        self._schemas = schemas

    def text_of(self, schema_id: int) -> str:
        return self._schemas.text_of(schema_id)

    def register(self, _topic: Topic, _text: str) -> int:
        return 0
