"""Policies tried on past events: the stages of the worker, run over history.

Knows no Kafka, and writes nowhere.  Keys are known beforehand, in their latest form; live, the uses of a
key are judged anew when its record changes, which ends in the same findings.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keytrail.schemas.records import Anomaly, Micros, Signal
from keytrail.schemas.topics import Topic
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.schema_source import SchemaTexts
from keytrail.stream.reading.signed import MasterSource, no_masters
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.stages.event_stage import EventBatch, EventOutput, EventStage
from keytrail.stream.stages.finding_stage import FindingOutput, FindingStage
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


class Trial:
    """One policy: an event stage for each partition, and a finding stage over all of them.

    What it keeps grows with subjects, keys and findings, as a worker's state does, not with events.
    """

    def __init__(
        self,
        policy: Policy,
        reader: EventReader,
        keys: KeyDirectory,
        clock: Callable[[], Micros],
        partitions: int,
    ) -> None:
        self._policies = Timeline(policy)
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._stages: dict[int, EventStage] = {}
        self._latest: dict[str, Anomaly] = {}
        self.counts = Counts()
        self.finding_stage = FindingStage(self._policies, clock, partitions)

    def event_stage(self, partition: int) -> EventStage:
        stage = self._stages.get(partition)
        if stage is None:
            stage = EventStage(partition, self._reader, self._keys, self._policies, self._clock, Slot())
            self._stages[partition] = stage
        return stage

    def judge(
        self, batches: Mapping[int, EventBatch], records: Mapping[int, Sequence[SourceRecord]]
    ) -> Changes:
        """Take the next batch of each partition in; `records` are what the batches were read from."""
        changes: dict[int, list[StateChange]] = {}
        signals: list[list[Signal]] = []
        departures: list[StateChange] = []
        for partition, batch in batches.items():
            output = self.event_stage(partition).process(batch)
            changes[partition] = output.changes
            departures += output.departures
            signals.append(output.signals)
            self.counts.records += len(batch.offsets)
            self.counts.events += len(output.enriched)
            self.counts.duplicates += output.duplicates
            self.counts.dead += len(output.dead)
        # Each partition's in its own order, and among each other by time.
        merged = heapq.merge(*signals, key=lambda signal: signal.last_seen)
        findings = self._keep(self.finding_stage.process(merged))
        for partition, some in records.items():
            for output in self._judge_anew(partition, some):
                changes[partition] += output.changes
                findings += self._keep(self.finding_stage.process(output.signals))
        return Changes(changes, findings, departures)

    def _judge_anew(self, partition: int, records: Sequence[SourceRecord]) -> Iterator[EventOutput]:
        """Uses of keys of whose owners another partition of the same batches told that they left."""
        stage, by_offset = self.event_stage(partition), {record.offset: record for record in records}
        while due := stage.due():
            yield stage.rejudge(due, [by_offset[offset] for offset in due.offsets if offset in by_offset])

    def findings(self) -> list[Anomaly]:
        """The latest state of each finding."""
        self._keep(self.finding_stage.settle())
        return list(self._latest.values())

    def _keep(self, output: FindingOutput) -> list[StateChange]:
        self._latest.update((anomaly.anomaly_id, anomaly) for anomaly in output.anomalies)
        return output.changes


class Backtest:
    """Policies side by side: each record is read once, and judged by all of them.  Not thread-safe.

    `partitions`: how many the events topic has.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        keys: KeyDirectory,
        schemas: SchemaTexts,
        clock: Callable[[], Micros],
        masters: MasterSource = no_masters,
        partitions: int = 1,
    ) -> None:
        reader = EventReader(_ReadOnly(schemas), clock, Slot(), masters)
        self.trials = [Trial(policy, reader, keys, clock, partitions) for policy in policies]

    def take(self, past: Sequence[PastRecord]) -> list[Changes]:
        """The next records, each partition's in offset order; what changed, by trial.

        Raises `UnavailableError` where a schema is needed and the registry is away.
        """
        records: dict[int, list[SourceRecord]] = {}
        for partition, record in past:
            records.setdefault(partition, []).append(record)
        reading = self.trials[0]
        batches = {
            partition: reading.event_stage(partition).read(some) for partition, some in records.items()
        }
        return [trial.judge(batches, records) for trial in self.trials]


class _ReadOnly:
    """Gives schemas; the enriched one, which live is registered, goes nowhere from here."""

    def __init__(self, schemas: SchemaTexts) -> None:
        self._schemas = schemas

    def text_of(self, schema_id: int) -> str:
        return self._schemas.text_of(schema_id)

    def register(self, _topic: Topic, _text: str) -> int:
        return 0
