"""Publishing events and keys to their Kafka topics, in the Confluent wire format.

One idempotent producer a publisher: the broker drops what a retry sends twice, and the records
of one key stay in order.  A record that Kafka does not take is never dropped in silence: it is
counted, and the next `check`, `flush` or waiting call raises `DeliveryError`.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message

from keytrail.producers.concealing import PLAIN_LIMIT_BYTES, Concealer
from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.librdkafka import producer_for, words_of
from keytrail.producers.signing import Sign, unsigned
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, UnavailableError, UsageError
from keytrail.schemas.records import Event, Key
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SIGNATURE_HEADER, fingerprint
from keytrail.schemas.topics import EVENTS, KEYS, Topic

_Record = TypeVar("_Record")

_POLL_S = 0.05


class DeliveryError(KeytrailError):
    """Kafka did not take `count` records that had been accepted for sending; they are not stored."""

    def __init__(self, topic: str, count: int, reason: str) -> None:
        super().__init__(
            f"{count} records for {topic} were not delivered: {reason}.",
            "Send them again once Kafka takes records; what arrived after all counts once.",
        )
        self.count = count


class Publisher(ABC, Generic[_Record]):
    """Sends records of one kind to one topic.  Thread-safe.

    Nothing is asked of the network before the first record is published; that call registers
    the schema and may raise `UnavailableError` or `SchemaError`.  Raises `UsageError` where the
    Kafka properties in `settings` are not librdkafka's.  In privacy mode records are concealed.
    """

    def __init__(self, settings: Settings, topic: Topic, schema: str, *, client_id: str) -> None:
        self._topic = topic
        self._schema_text = avro.schema_text(schema)
        self._registry = Registry(settings.registry)
        self._concealer = Concealer.if_on(settings)
        self._header = b""
        self._lock = threading.Lock()
        self._failed = 0
        self._failure = ""
        self._trouble = ""
        self._producer, _ = producer_for(
            settings, client_id=client_id, on_failure=self._on_failure, on_error=self._on_error
        )

    @abstractmethod
    def _message(self, record: _Record) -> tuple[bytes, bytes, Sequence[tuple[str, bytes]]]:
        """The record's key, datum and headers."""

    def publish(self, record: _Record, *, wait: bool = False) -> bool:
        """Hand one record to the sending queue; True where it was taken.

        With `wait`, blocks while the queue is full, and raises `DeliveryError` for records lost
        before; without, answers False where the queue is full.  Raises `UnencodableError` for a
        record that its schema has no place for.
        """
        header = self._header or self._register()
        key, datum, headers = self._message(record)
        while True:
            try:
                self._producer.produce(self._topic.name, header + datum, key, headers=[*headers])
            except BufferError:
                self._producer.poll(_POLL_S if wait else 0)
                if not wait:
                    return False
                self.check()
            except KafkaException as error:
                raise DeliveryError(self._topic.name, 1, words_of(error)) from error
            else:
                self._producer.poll(0)
                return True

    def publish_all(self, records: Iterable[_Record]) -> int:
        """Publish each record as with `wait`; how many there were."""
        count = 0
        for record in records:
            self.publish(record, wait=True)
            count += 1
        return count

    def check(self) -> None:
        """Take in what the broker answered; raises `DeliveryError` for failures not yet raised."""
        self._producer.poll(0)
        with self._lock:
            failed, self._failed = self._failed, 0
        if failed:
            raise DeliveryError(self._topic.name, failed, self._failure)

    def flush(self, timeout_s: float) -> int:
        """Wait until everything is delivered; how many records are not after `timeout_s`.

        Those stay queued, and a later call can wait for them.  Raises `DeliveryError` for
        records that were given up.  The keys of people count as records, in privacy mode.
        """
        left = int(self._producer.flush(timeout_s))
        if self._concealer is not None:
            left += self._concealer.flush(timeout_s)
        self.check()
        return left

    def settle(self, timeout_s: float) -> None:
        """As `flush`, and raises `UnavailableError` where records are left."""
        if left := self.flush(timeout_s):
            why = f": {self._trouble}" if self._trouble else ""
            raise UnavailableError(
                f"{left} records for {self._topic.name} were not delivered within {timeout_s:g} s{why}.",
                "See that Kafka runs at the configured address, then send them again.",
            )

    def close(self, timeout_s: float) -> None:
        """As `settle`.  Use nothing afterwards."""
        self.settle(timeout_s)

    def _register(self) -> bytes:
        self._header = wire.frame(self._registry.register(self._topic, self._schema_text))
        return self._header

    def _on_failure(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            with self._lock:
                self._failed += 1
                self._failure = words_of(error)

    def _on_error(self, error: KafkaError) -> None:
        with self._lock:
            self._trouble = words_of(error)


class EventPublisher(Publisher[Event]):
    """Publishes events to `keytrail.events`, keyed by whose access they are about.

    An event larger than `fitting.LIMIT_BYTES` is shortened and text that UTF-8 cannot hold is
    repaired; both are marked in its attributes.  `sign` gives the signature of what is sent in the end.
    """

    def __init__(self, settings: Settings, *, client_id: str = "keytrail", sign: Sign = unsigned) -> None:
        super().__init__(settings, EVENTS, "event", client_id=client_id)
        self._encode = flat_encoder(avro.parse(self._schema_text))
        self._mark = fingerprint(self._schema_text)
        self._sign = sign

    def _message(self, record: Event) -> tuple[bytes, bytes, Sequence[tuple[str, bytes]]]:
        if self._concealer is not None:
            record = self._concealer.event(fit(record, self._encode, PLAIN_LIMIT_BYTES)[0])
        event, datum = fit(record, self._encode)
        signature = self._sign(event, self._mark, datum)
        headers = () if signature is None else ((SIGNATURE_HEADER, signature),)
        return event.whose.encode(), datum, headers


class KeyPublisher(Publisher[Key]):
    """Publishes provisioning keys to `keytrail.keys`, keyed by key id: the latest record is the key."""

    def __init__(self, settings: Settings, *, client_id: str = "keytrail") -> None:
        super().__init__(settings, KEYS, "key", client_id=client_id)
        self._encode = avro.encoder(avro.parse(self._schema_text))
        self._encoding = threading.Lock()

    def _message(self, record: Key) -> tuple[bytes, bytes, Sequence[tuple[str, bytes]]]:
        if self._concealer is not None:
            record = self._concealer.key(record)
        try:
            with self._encoding:
                return record.key_id.encode(), self._encode(record), ()
        except UnicodeEncodeError as error:
            raise UsageError("The key holds text that is not valid Unicode.", "Correct it.") from error
