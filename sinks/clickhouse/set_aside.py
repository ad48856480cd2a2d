"""Records that have no place in a table go to keytrail.deadletter, with their bytes as they came."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keytrail.schemas import avro, topics, wire
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.records import DeadLetter, Header, Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import KafkaSettings

_FLUSH_TIMEOUT_S = 10.0
_log = logging.getLogger("keytrail.sink")

_REMEDIES: Mapping[str, str] = {
    "null_value": "Write a value; this topic knows no deletions.",
    "bad_magic": "Write the Confluent wire format: a zero byte, the schema's id, the datum.",
    "unknown_schema": "Register the writer's schema, then replay the record.",
    "torn_datum": "Write the datum whole, with the schema that its header names.",
    "invalid_event": "Correct the field and send the event again.",
    "rejected_by_clickhouse": "Compare the record with the table's columns, correct it and send it again.",
}


@dataclass(frozen=True)
class Reason:
    """`name` is one of the remedies' names; `detail` never quotes the record."""

    name: str
    detail: str


class SetAside:
    """Writes dead letters, and waits until Kafka has them.  Thread-safe."""

    def __init__(self, kafka: KafkaSettings, registry: Registry, now: Callable[[], Micros]) -> None:
        self._producer = Producer(
            kafka.client(
                enable_idempotence=True,
                compression_type="zstd",
                message_timeout_ms=300_000,
                message_max_bytes=topics.MAX_MESSAGE_BYTES,
            )
        )
        self._registry = registry
        self._now = now
        self._lock = threading.Lock()
        self._encode: Callable[[object], bytes] | None = None

    def put(self, records: Mapping[int, tuple[Message, Reason]]) -> None:
        """Each record once, however often Kafka has to be asked; when it returns, Kafka has them.

        Raises `UnavailableError` where Kafka or the registry does not answer: none of `records` may be
        taken for set aside then, and some may be there twice when it is called again.
        """
        letters = [
            (f"{message.topic()}/{message.partition()}/{offset}", self._encoded(message, reason))
            for offset, (message, reason) in records.items()
            if not self._is_dead_letter(message, reason)
        ]
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        for key, value in letters:
            self._produce(key, value, delivered)
        left = self._producer.flush(_FLUSH_TIMEOUT_S) if letters else 0
        if left or failed:
            reason = failed[0].str() if failed else "no answer in time"
            raise UnavailableError(
                f"Kafka does not take dead letters: {reason}.", "Look at the broker's log."
            )

    def _produce(
        self, key: str, value: bytes, delivered: Callable[[KafkaError | None, Message], None]
    ) -> None:
        try:
            self._producer.produce(topics.DEAD_LETTERS.name, value, key, on_delivery=delivered)
        except BufferError:
            self._producer.poll(1.0)
            self._produce(key, value, delivered)
        except KafkaException as error:
            raise UnavailableError(
                f"Kafka does not take dead letters: {error}.", "Look at its log."
            ) from error

    def _is_dead_letter(self, message: Message, reason: Reason) -> bool:
        """A dead letter that cannot be stored is not written again: it would come back for ever."""
        if message.topic() != topics.DEAD_LETTERS.name:
            return False
        _log.error(
            "a dead letter cannot be stored and stays in its topic alone: partition %s, offset %s (%s: %s)",
            *(message.partition(), message.offset(), reason.name, reason.detail),
        )
        return True

    def _encoded(self, message: Message, reason: Reason) -> bytes:
        value = message.value()
        letter = DeadLetter(
            source_topic=message.topic() or "",
            source_partition=-1 if (partition := message.partition()) is None else partition,
            source_offset=-1 if (offset := message.offset()) is None else offset,
            source_timestamp=Micros(message.timestamp()[1] * 1000),
            reason=reason.name,
            detail=reason.detail,
            remedy=_REMEDIES[reason.name],
            schema_id=None if value is None else wire.schema_id_of(value),
            key=message.key(),
            value=value,
            headers=_headers(message),
            failed_at=self._now(),
        )
        with self._lock:
            if self._encode is None:
                text = avro.schema_text("deadletter")
                frame = wire.frame(self._registry.register(topics.DEAD_LETTERS, text))
                datum = avro.encoder(avro.parse(text))
                self._encode = lambda record: frame + datum(record)
            return self._encode(letter)


def _headers(message: Message) -> list[Header]:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [
        Header(name, content.encode() if isinstance(content, str) else content) for name, content in pairs
    ]
