"""The compacted topic that holds the registry's records, and their only order."""

import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keytrail.deploy.embedded.registry.errors import STORE_FAILED, STORE_TIMED_OUT, RegistryError
from keytrail.deploy.embedded.registry.records import Record, decode, encode
from keytrail.schemas.errors import UnavailableError

_CONNECT_TIMEOUT_S = 120.0
_TIMEOUT_S = 30.0
_POLL_S = 0.2

ClientConfig = Mapping[str, str | int | float | bool]


class SchemaTopic:
    """One process at a time may write to the topic: ids follow from its end.  Made with `open`."""

    def __init__(
        self, client: ClientConfig, name: str, apply: Callable[[Record], None], lock: threading.Lock
    ) -> None:
        self._name = name
        self._consumer = Consumer(
            {
                **client,
                "group.id": "keytrail-registry",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        # A retry may store a record twice, one after the other, which changes nothing.
        self._producer = Producer(
            {
                **client,
                "acks": "all",
                "linger.ms": 0,
                "message.max.bytes": 8_000_000,
                "message.timeout.ms": int(_TIMEOUT_S * 1000),
            }
        )
        self._apply = apply
        self._applied = threading.Condition(lock)
        self._next_offset = 0
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read_on, name="schemas-reader", daemon=True)

    @classmethod
    def open(
        cls, client: ClientConfig, name: str, apply: Callable[[Record], None], lock: threading.Lock
    ) -> "SchemaTopic":
        """Waits for Kafka, makes the topic where it is missing, applies all that it holds, and reads on.

        `apply` is called for each record in order, on one thread at a time, under `lock`.  Raises
        `UnavailableError` where Kafka cannot be reached for two minutes.
        """
        config = {**client, "reconnect.backoff.max.ms": 500}
        try:
            # Until Kafka is up a refused connection is no news, so this client does not log it.
            admin = AdminClient({**config, "log_level": 2})
            if name not in admin.list_topics(timeout=_CONNECT_TIMEOUT_S).topics:
                _create(admin, name)
            topic = cls(config, name, apply, lock)
            topic._load()
        except KafkaException as error:
            raise UnavailableError(
                f"Kafka does not answer ({error.args[0].str()}).", "Start it, or correct its address."
            ) from error
        topic._reader.start()
        return topic

    @property
    def next_offset(self) -> int:
        """Where the next record will be."""
        return self._next_offset

    def append(self, record: Record) -> None:
        """Returns once the record is stored and applied.  Raises `RegistryError` (50001, 50002)."""
        key, value = encode(record)
        outcome: list[tuple[KafkaError | None, int]] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            outcome.append((error, message.offset() or 0))

        try:
            self._producer.produce(self._name, key=key, value=value, partition=0, on_delivery=delivered)
            self._producer.flush(_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            raise RegistryError(STORE_FAILED, f"Error in the backend data store: {error}") from error
        if not outcome:
            raise RegistryError(STORE_TIMED_OUT, "Operation timed out: Kafka did not confirm the record.")
        refusal, offset = outcome[0]
        if refusal is not None:
            raise RegistryError(STORE_FAILED, f"Error in the backend data store: {refusal.str()}")
        with self._applied:
            if not self._applied.wait_for(lambda: self._next_offset > offset, _TIMEOUT_S):
                raise RegistryError(STORE_TIMED_OUT, "Operation timed out: the record was not read back.")

    def close(self) -> None:
        self._closing.set()
        self._reader.join(_TIMEOUT_S)
        self._consumer.close()

    def _load(self) -> None:
        deadline = time.monotonic() + _CONNECT_TIMEOUT_S
        partition = TopicPartition(self._name, 0, OFFSET_BEGINNING)
        end = self._find_end(partition, deadline)
        self._consumer.assign([partition])
        # The broker tells of the end only after half a second of silence; the count tells sooner.
        while self._next_offset < end and not self._poll():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{self._name} could not be read to its end.", "Is Kafka healthy? See its log."
                )

    def _find_end(self, partition: TopicPartition, deadline: float) -> int:
        while True:
            try:
                _, end = self._consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_S)
            except KafkaException:  # a topic just made, or a broker just started, may have no leader yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return int(end)

    def _read_on(self) -> None:
        while not self._closing.is_set():
            self._poll()

    def _poll(self) -> bool:
        """Applies the next record, if one comes soon; whether the topic's end is reached."""
        message = self._consumer.poll(_POLL_S)
        if message is None:
            return False
        error = message.error()
        if error is not None:
            return bool(error.code() == KafkaError._PARTITION_EOF)
        record = decode(message.key(), message.value())
        with self._applied:
            if record is not None:
                self._apply(record)
            self._next_offset = (message.offset() or 0) + 1
            self._applied.notify_all()
        return False


def _create(admin: AdminClient, name: str) -> None:
    topic = NewTopic(name, num_partitions=1, replication_factor=-1, config={"cleanup.policy": "compact"})
    try:
        admin.create_topics([topic])[name].result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
