"""A small world for tests of the stream's core: events made by hand, both stages, no Kafka."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Anomaly, Event, Key, Micros, Signal
from keytrail.schemas.topics import Topic
from keytrail.stream.keys import departures
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.signed import MasterSource, no_masters
from keytrail.stream.reading.source import Record, SourceRecord
from keytrail.stream.stages.event_stage import EventOutput, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.worker.at_hand import Slot

NOON: Micros = 1_780_000_000_000_000
SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
EVENT_ID = 1


class FixedRegistry:
    """A registry that knows the committed schemas: it answers from a dictionary, with no server behind it."""

    def __init__(self) -> None:
        self.texts = {EVENT_ID: avro.schema_text("event")}

    def register(self, topic: Topic, text: str) -> int:
        for schema_id, known in self.texts.items():
            if known == text:
                return schema_id
        self.texts[len(self.texts) + 1] = text
        return len(self.texts)

    def text_of(self, schema_id: int) -> str:
        if schema_id not in self.texts:
            raise SchemaError(f"Schema id {schema_id} is not in the registry.", "Register it.")
        return self.texts[schema_id]


def event(**fields: object) -> Event:
    """An event with a fresh id at noon, by a service for alice."""
    base = Event(
        event_id=str(uuid.uuid4()),
        occurred_at=NOON,
        recorded_at=NOON,
        service="iam",
        environment="production",
        actor_id="bob",
        actor_type="human",
        key_id=None,
        key_alias=None,
        action="use",
        subject="alice",
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def key(key_id: str = "pk_1", **fields: object) -> Key:
    base = Key(key_id, 1, "human", "bob", "platform", "active", NOON - 100 * DAY)
    return replace(base, **fields)  # type: ignore[arg-type]


_encode = avro.encoder(avro.parse(avro.schema_text("event")))


def value_of(some: Event) -> bytes:
    return wire.frame(EVENT_ID) + _encode(some)


def records(
    events: Iterable[Event], start: int = 0, arrived: Callable[[Event], Micros | None] = lambda _: None
) -> list[SourceRecord]:
    return [
        Record(start + i, value_of(some), some.whose.encode(), arrived=arrived(some))
        for i, some in enumerate(events)
    ]


class World:
    """Both stages, each over one partition, fed by hand."""

    def __init__(
        self,
        keys: Iterable[Key] = (),
        policy: Policy | None = None,
        clock: Callable[[], Micros] = lambda: NOON,
        masters: MasterSource = no_masters,
    ) -> None:
        self.policies = Timeline(policy or Policy())
        self.directory = KeyDirectory()
        for known in keys:
            self.directory.apply(known)
        reader = EventReader(FixedRegistry(), clock, Slot(), masters)  # type: ignore[arg-type]
        self.events = EventStage(0, reader, self.directory, self.policies, clock, Slot())
        self.findings = FindingStage(self.policies, self.directory, clock)
        self.anomalies: list[Anomaly] = []
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.finding_changelog: list[tuple[bytes, bytes | None]] = []
        self.departures: list[tuple[str, Micros | None]] = []
        self._offset = 0
        self._log: dict[int, SourceRecord] = {}

    def send(
        self,
        *events: Event,
        batch: int = 1000,
        arrived: Callable[[Event], Micros | None] = lambda _: None,
    ) -> list[EventOutput]:
        outputs = []
        for start in range(0, len(events), batch):
            some = events[start : start + batch]
            outputs.append(self.send_records(records(some, self._offset, arrived)))
            self._offset += len(some)
        return outputs

    def send_records(self, some: Sequence[SourceRecord]) -> EventOutput:
        self._log |= {record.offset: record for record in some}
        output = self.events.process(self.events.read(some))
        self.changelog += [(change.key, change.value) for change in self.events.take_changes()]
        self._hear(output)
        self.signal(output.signals)
        return output

    def learn(self, *keys: Key) -> None:
        """Records of keys come, and what they change is judged anew."""
        for one in keys:
            self.directory.apply(one)
        while due := self.events.due():
            output = self.events.rejudge(due, [self._log[offset] for offset in due.offsets])
            self.changelog += [(change.key, change.value) for change in self.events.take_changes()]
            self._hear(output)
            self.signal(output.signals)

    def _hear(self, output: EventOutput) -> None:
        """As the feed of keys does, of all partitions."""
        for one in output.departures:
            self.departures.append(departures.read(one.key, one.value))
            self.directory.owner_leaves(*self.departures[-1])

    def adopt_log(self, other: "World") -> None:
        """The events topic of another world, whose state was restored."""
        self._log |= other._log
        self._offset = other._offset

    def open_findings(self) -> set[tuple[str, str, str]]:
        """Rule, entity and cause of each finding that is open now."""
        return {name for name, anomaly in self.current().items() if anomaly.status != "resolved"}

    def signal(self, signals: Iterable[Signal]) -> None:
        found = self.findings.process(signals)
        self.anomalies += found
        self.finding_changelog += [(change.key, change.value) for change in self.findings.take_changes()]

    def settle(self) -> None:
        found = self.findings.settle()
        self.anomalies += found
        self.finding_changelog += [(change.key, change.value) for change in self.findings.take_changes()]

    def current(self) -> dict[tuple[str, str, str], Anomaly]:
        """The latest record of each finding, once things are quiet."""
        self.settle()
        return {(a.rule, a.entity, a.cause): a for a in self.anomalies}

    def rules(self) -> set[str]:
        return {rule for rule, _, _ in self.current()}
