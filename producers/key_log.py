"""Reading the keys topic: every provisioning key as of its latest record."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import Key
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import KEYS

_POLL_S = 1.0


@dataclass(frozen=True)
class KeyLog:
    """`keys` by id.  `unreadable` names keys whose latest record cannot be read; `keys` lacks them."""

    keys: dict[str, Key]
    unreadable: list[str]

    def get(self, key_id: str) -> Key:
        """The key.  Raises `KeytrailError` where there is none or its record cannot be read."""
        if key := self.keys.get(key_id):
            return key
        if key_id in self.unreadable:
            raise KeytrailError(f"The latest record of key {key_id} cannot be read.", "Issue it anew.")
        raise KeytrailError(f"There is no key {key_id}.", "`keytrail keys list` shows those there are.")


def read_keys(settings: Settings, timeout_s: float = 30.0) -> KeyLog:
    """All keys, read from the start of the topic to what was its end when the call began or later.

    Raises `UnavailableError` where Kafka or the registry does not answer in `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    latest = _latest_values(settings, deadline)
    decode = _decoder(Registry(settings.registry))
    keys: dict[str, Key] = {}
    unreadable: list[str] = []
    for key_id, value in latest.items():
        try:
            keys[key_id] = decode(value)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001  # a torn or foreign datum makes fastavro raise nearly anything
            unreadable.append(key_id)
    return KeyLog(keys, unreadable)


def _latest_values(settings: Settings, deadline: float) -> dict[str, bytes]:
    consumer = Consumer(
        settings.kafka.reader(
            group_id="keytrail-key-log",  # required, though nothing is ever committed under it
            enable_auto_commit=False,
            enable_partition_eof=True,
            fetch_wait_max_ms=20,  # the end of a partition is told only after this wait
        ),
        logger=KAFKA_LOG,
    )
    latest: dict[str, bytes] = {}
    try:
        for name, value in _messages(consumer, deadline):
            if value is None:
                latest.pop(name, None)
            else:
                latest[name] = value
    except KafkaException as error:
        raise _unavailable(words_of(error)) from error
    finally:
        consumer.close()
    return latest


def _messages(consumer: Consumer, deadline: float) -> Iterator[tuple[str, bytes | None]]:
    topic = consumer.list_topics(KEYS.name, max(0.1, deadline - time.monotonic())).topics[KEYS.name]
    if topic.error is not None:
        raise _unavailable(words_of(topic.error))
    consumer.assign([TopicPartition(KEYS.name, number, OFFSET_BEGINNING) for number in topic.partitions])
    unfinished = set(topic.partitions)
    trouble = "it sent nothing"
    while unfinished:
        if time.monotonic() > deadline:
            raise _unavailable(trouble)
        message = consumer.poll(_POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield (message.key() or b"").decode(errors="replace"), message.value()
        elif error.code() == KafkaError._PARTITION_EOF:
            unfinished.discard(message.partition())
        else:
            trouble = words_of(error)


def _decoder(registry: Registry) -> Callable[[bytes], Key]:
    reader = avro.parse(avro.schema_text("key"))
    decoders: dict[int, Callable[[bytes, int], Key]] = {}

    def decode(value: bytes) -> Key:
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            raise ValueError("no wire header")
        if schema_id not in decoders:
            decoders[schema_id] = avro.decoder(Key, avro.parse(registry.text_of(schema_id)), reader)
        return decoders[schema_id](value, wire.HEADER_LENGTH)

    return decode


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        f"The topic {KEYS.name} cannot be read: {why}.",
        "See that Kafka runs at the configured address and that `keytrail prepare` was run.",
    )
