"""The worker's stages in this process, without Kafka, over a simulated company's events."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from benchmarks.measure import Result, measure
from keytrail.producers.datum import flat_encoder
from keytrail.producers.simulation import Simulation
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event, Signal
from keytrail.schemas.signature import SIGNATURE_HEADER, Masters, fingerprint
from keytrail.schemas.topics import Topic
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.signed import read_signature
from keytrail.stream.reading.source import Record, SourceRecord
from keytrail.stream.stages.event_stage import EventBatch, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.stages.seen import SeenIds
from keytrail.stream.worker.at_hand import Slot
from keytrail.stream.worker.memory import calm_collector

EVENTS = 20_000
BATCH = 2_000
_EVENT_ID = 1
_FUTURE = 4_000_000_000_000_000


class _Registry:
    """Answers from a dictionary, so that only our own work is measured."""

    def __init__(self) -> None:
        self._texts = {_EVENT_ID: avro.schema_text("event")}

    def register(self, _topic: Topic, text: str) -> int:
        self._texts[2] = text
        return 2

    def text_of(self, schema_id: int) -> str:
        if schema_id not in self._texts:
            raise SchemaError(f"Schema id {schema_id} is not known.")
        return self._texts[schema_id]


def run() -> Iterator[Result]:
    calm_collector()
    simulation = Simulation(EVENTS, seed=7)
    events = list(simulation.events())
    directory = KeyDirectory()
    for key in list(simulation.keys()):
        directory.apply(key)
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    frame = wire.frame(_EVENT_ID)
    records: list[SourceRecord] = [Record(i, frame + encode(event)) for i, event in enumerate(events)]

    def stage() -> EventStage:
        reader = EventReader(_Registry(), lambda: _FUTURE, Slot())  # type: ignore[arg-type]
        return EventStage(0, reader, directory, Timeline(Policy()), lambda: _FUTURE, Slot())

    yield measure("encode an event (SDK)", EVENTS, lambda: lambda: [encode(event) for event in events])
    yield measure("read: decode and check", EVENTS, lambda: _reading(stage(), records))
    yield measure("verify a signature", EVENTS, lambda: _verifying(events, records))
    yield measure("ids seen before", EVENTS, lambda: _seeing(events))
    yield measure("judge and enrich", EVENTS, lambda: _judging(stage(), records))
    yield measure("event stage, all of it", EVENTS, lambda: _whole(stage(), records))
    one = stage()
    signals = [signal for batch in _batches(records) for signal in one.process(one.read(batch)).signals]
    yield measure("finding stage (signals)", len(signals), lambda: _finding(signals))


def _batches(records: Sequence[SourceRecord]) -> Iterator[Sequence[SourceRecord]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


def _reading(stage: EventStage, records: Sequence[SourceRecord]) -> Callable[[], object]:
    return lambda: [stage.read(batch) for batch in _batches(records)]


def _verifying(events: Sequence[Event], records: Sequence[SourceRecord]) -> Callable[[], object]:
    masters, mark = Masters({"m1": bytes(32)}), fingerprint(avro.schema_text("event"))
    signed = []
    for number, (event, record) in enumerate(zip(events, records, strict=True)):
        named = replace(event, key_id=f"key-{number % 2_000}")
        datum = (record.value or b"")[wire.HEADER_LENGTH :]
        header = masters.issue(f"key-{number % 2_000}", 1).sign(mark, datum)
        signed.append((named, [(SIGNATURE_HEADER, header)], datum))

    def verify() -> None:
        for event, headers, datum in signed:
            assert read_signature(event, headers, mark, datum, masters).state == "verified"

    return verify


def _seeing(events: Sequence[Event]) -> Callable[[], object]:
    ids = [event.event_id for event in events]
    seen = SeenIds()
    return lambda: [seen.add(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]


def _judging(stage: EventStage, records: Sequence[SourceRecord]) -> Callable[[], object]:
    batches = [stage.read(batch) for batch in _batches(records)]
    return lambda: [_take(stage, batch) for batch in batches]


def _whole(stage: EventStage, records: Sequence[SourceRecord]) -> Callable[[], object]:
    return lambda: [_take(stage, stage.read(batch)) for batch in _batches(records)]


def _take(stage: EventStage, batch: EventBatch) -> tuple[object, object]:
    """What a worker takes of a batch."""
    return stage.process(batch).enriched, stage.take_changes()


def _finding(signals: Sequence[Signal]) -> Callable[[], object]:
    stage = FindingStage(Timeline(Policy()), KeyDirectory(), lambda: _FUTURE)
    return lambda: (stage.process(signals), stage.take_changes())
