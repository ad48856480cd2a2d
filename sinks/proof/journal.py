"""The topic of checkpoints: the notes as they are, keyed by their log, partition by partition.

A header, `keytrail-edge`, has what the next checkpoint goes on from.  Changes of keys stand in partition 0.
"""

from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import CHECKPOINTS
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.proof.store import Entry
from keytrail.sinks.spans import Span, SpanReader

EDGE_HEADER = "keytrail-edge"
KEYS_KEY = b"keys"
_FLUSH_TIMEOUT_S = 10.0
_TAIL = 64
_DEEPER = 64


class Journal:
    """Not thread-safe.  Methods raise `UnavailableError`."""

    def __init__(self, kafka: KafkaSettings, cluster: Cluster, spans: SpanReader) -> None:
        self._cluster = cluster
        self._spans = spans
        self._producer = Producer(kafka.client(enable_idempotence=True, message_timeout_ms=10_000))

    def add(self, log: Log, entry: Entry) -> None:
        """When it returns, Kafka has it; when it raises, it may have it."""
        self._send(log.partition, log.origin.encode(), entry.note, entry.edge)

    def add_handover(self, note: str) -> None:
        """As `add`, of a change of keys."""
        self._send(0, KEYS_KEY, note, b"")

    def newest(self, log: Log) -> Entry | None:
        """The log's last checkpoint, read from the partition's end."""
        place = Place(CHECKPOINTS.name, log.partition)
        begin, end = self._cluster.beginnings([place])[place], self._cluster.ends([place])[place]
        depth = _TAIL
        while True:
            first = max(begin, end - depth)
            messages = [message for _, message in self._read(place, first, end)]
            found = [_entry(message) for message in messages if message.key() == log.origin.encode()]
            if found or first == begin:
                return found[-1] if found else None
            depth *= _DEEPER

    def all(self, partition: int) -> Iterator[tuple[bytes, Entry]]:
        """Keys and notes of a partition, in order."""
        place = Place(CHECKPOINTS.name, partition)
        begin, end = self._cluster.beginnings([place])[place], self._cluster.ends([place])[place]
        for _, message in self._read(place, begin, end):
            yield message.key() or b"", _entry(message)

    def _read(self, place: Place, first: int, end: int) -> Iterator[tuple[int, Message]]:
        return self._spans.within(place, [Span(first, end)])

    def _send(self, partition: int, key: bytes, note: str, edge: bytes) -> None:
        failed: list[str] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error.str())

        try:
            self._producer.produce(
                CHECKPOINTS.name,
                note.encode(),
                key,
                partition,
                on_delivery=delivered,
                headers=[(EDGE_HEADER, edge)],
            )
        except KafkaException as error:
            failed.append(error.args[0].str())
        left = self._producer.flush(_FLUSH_TIMEOUT_S)
        if failed or left:
            raise UnavailableError(
                f"{CHECKPOINTS.name} takes no checkpoint: {failed[0] if failed else 'no answer in time'}.",
                "See whether the broker runs.",
            )


def _entry(message: Message) -> Entry:
    edge = dict(message.headers() or []).get(EDGE_HEADER)
    note = (message.value() or b"").decode("utf-8", "replace")
    return Entry(note, edge if isinstance(edge, bytes) else b"")
