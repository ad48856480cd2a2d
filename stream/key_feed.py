"""Keeps the key directory up to date from the topic of keys, in a thread of its own."""

import logging
import threading
from contextlib import suppress
from functools import partial
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from keytrail.schemas.damage import is_damage
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import KEYS
from keytrail.stream.key_reading import KeyReader
from keytrail.stream.keys import KeyDirectory
from keytrail.stream.patience import until_available

logger = logging.getLogger(__name__)

_WHO = "The feed of keys"
_TIMEOUT_S = 30.0
_QUERY_S = 5.0
_POLL_S = 0.2
_BATCH = 1000


class KeyFeed:
    """`catch_up` makes the directory as fresh as the topic; between calls the thread follows it, until the
    process ends."""

    def __init__(self, kafka: KafkaSettings, registry: Registry, directory: KeyDirectory) -> None:
        self._reader = KeyReader(registry, directory)
        self._config = kafka.reader(
            group_id="keytrail-keys",
            enable_auto_commit=False,
            enable_partition_eof=True,  # behind the last record there may be marks of transactions
            isolation_level="read_committed",
            auto_offset_reset="error",
            metadata_recovery_strategy="none",
        )
        self._consumer = Consumer(self._config)
        self._asking = self._consumer
        self._applied: dict[int, int] = {}
        self._asking_lock = threading.Lock()
        self._asked_at = float("-inf")
        self._wanted: dict[int, tuple[int, int]] = {}
        self._damage = ""
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name="key-feed", daemon=True)

    def start(self) -> None:
        """Load every key, then follow the topic.  Blocks until Kafka has the topic and it is read."""
        partitions = until_available(_WHO, self._partitions)
        self._applied = dict.fromkeys(partitions, 0)
        self._consumer.assign([TopicPartition(KEYS.name, p, OFFSET_BEGINNING) for p in partitions])
        self._asking = self._new_asking()
        self._thread.start()
        until_available(_WHO, self.catch_up)

    def _partitions(self) -> list[int]:
        try:
            topic = self._consumer.list_topics(KEYS.name, _QUERY_S).topics[KEYS.name]
        except KafkaException as error:
            raise self._unavailable(error) from error
        if topic.error is not None or not topic.partitions:
            raise UnavailableError(f"Topic {KEYS.name} is not there.", "Run `keytrail prepare`.")
        return list(topic.partitions)

    def catch_up(self) -> None:
        """Wait until every key record that is in the topic now has been applied.  Thread-safe; blocks."""
        called_at = monotonic()
        deadline = called_at + _TIMEOUT_S
        with self._asking_lock:
            # Tasks that call at the same time share one answer.
            if self._asked_at < called_at:
                asked_at = monotonic()
                self._wanted = self._watermarks(deadline)
                self._asked_at = asked_at
            wanted = self._wanted
        with self._moved:
            # A partition whose records were all compacted away stands at low == high.
            while any(self._applied[p] < high for p, (low, high) in wanted.items() if low < high):
                if self._damage:
                    raise UnavailableError(
                        self._damage, "Restore the log segment from another replica or a backup."
                    )
                if not self._thread.is_alive() or not self._moved.wait(deadline - monotonic()):
                    raise UnavailableError(
                        f"{KEYS.name} could not be read to its end within {_TIMEOUT_S:.0f} s.",
                        "See whether Kafka and the schema registry run.",
                    )

    def _watermarks(self, deadline: float) -> dict[int, tuple[int, int]]:
        """The first and the next offset of each partition; a connection that breaks is made anew."""
        while True:
            try:
                return {
                    p: self._asking.get_watermark_offsets(
                        TopicPartition(KEYS.name, p), _QUERY_S, cached=False
                    )
                    for p in self._applied
                }
            except KafkaException as error:
                if monotonic() > deadline:
                    raise self._unavailable(error) from error
                logger.warning(
                    "The end of %s is not known (%s); asked again.", KEYS.name, error.args[0].str()
                )
                # A client whose connection broke may keep the dead one.
                self._asking = self._new_asking()

    def _new_asking(self) -> Consumer:
        """A client that knows the topic, for queries alone: the other is busy with `consume`."""
        client = Consumer(self._config)
        with suppress(KafkaException):
            client.list_topics(KEYS.name, _QUERY_S)
        return client

    def _unavailable(self, error: KafkaException) -> UnavailableError:
        return UnavailableError(
            f"{KEYS.name} cannot be read: {error.args[0].str()}.",
            "See whether Kafka runs at the configured address.",
        )

    def _follow(self) -> None:
        while True:
            # `consume` waits for a full batch; so wait for one message, then take what else is there.
            first = self._consumer.poll(_POLL_S)
            messages = [first, *self._consumer.consume(_BATCH, 0)] if first is not None else []
            for message in messages:
                if message.error() is None:
                    place = f"{KEYS.name} offset {message.offset()}"
                    apply = partial(self._reader.apply, message.key(), message.value(), place)
                    until_available(_WHO, apply)
            if messages:
                with self._moved:
                    for message in messages:
                        error = message.error()
                        if error is not None and is_damage(error):
                            self._damage = f"{KEYS.name}/{message.partition()} cannot be read: {error.str()}."
                        offset, partition = message.offset(), message.partition()
                        if offset is None or partition is None:
                            continue
                        if error is None:
                            self._applied[partition] = offset + 1
                        elif error.code() == KafkaError._PARTITION_EOF:
                            self._applied[partition] = max(offset, self._applied[partition])
                    self._moved.notify_all()
