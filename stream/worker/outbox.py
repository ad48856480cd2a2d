"""Records on their way out: encoded, framed with their schema's id, keyed, and put to their topics."""

from collections.abc import Iterable

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly, DeadLetter, Signal
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import ANOMALIES, DEAD_LETTERS, SIGNALS, Topic
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.stages.store import StateChange
from keytrail.stream.worker.transaction import Message, Outgoing


class Outbox:
    """Encodes for one partition.  Not thread-safe.  `register` comes before the first record."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def register(self) -> None:
        """Register every schema that is written with.  Blocks; raises what `Registry.register` raises."""
        self._signal = _Framed(self._registry, SIGNALS, "signal")
        self._anomaly = _Framed(self._registry, ANOMALIES, "anomaly")
        self._dead_letter = _Framed(self._registry, DEAD_LETTERS, "deadletter")

    def signals(self, signals: Iterable[Signal]) -> Outgoing:
        encode = self._signal
        return Outgoing(SIGNALS.name, [_message(routing_key(s), encode(s)) for s in signals])

    def anomalies(self, anomalies: Iterable[Anomaly]) -> Outgoing:
        encode = self._anomaly
        return Outgoing(ANOMALIES.name, [_message(a.entity, encode(a)) for a in anomalies])

    def dead_letters(self, letters: Iterable[DeadLetter]) -> Outgoing:
        encode = self._dead_letter
        return Outgoing(
            DEAD_LETTERS.name,
            [
                _message(f"{d.source_topic}/{d.source_partition}/{d.source_offset}", encode(d))
                for d in letters
            ],
        )

    @staticmethod
    def enriched(topic: Topic, partition: int, records: Iterable[tuple[bytes, bytes]]) -> Outgoing:
        return Outgoing(topic.name, [{"key": key, "value": value} for key, value in records], partition)

    @staticmethod
    def changes(topic: Topic, partition: int, changes: Iterable[StateChange]) -> Outgoing:
        return Outgoing(topic.name, [{"key": c.key, "value": c.value} for c in changes], partition)


class _Framed:
    """An encoder that puts the wire header before each datum."""

    def __init__(self, registry: Registry, topic: Topic, schema: str) -> None:
        text = avro.schema_text(schema)
        self._frame = wire.frame(registry.register(topic, text))
        self._encode = avro.encoder(avro.parse(text))

    def __call__(self, record: object) -> bytes:
        return self._frame + self._encode(record)


def _message(key: str, value: bytes) -> Message:
    return {"key": key.encode(), "value": value}
