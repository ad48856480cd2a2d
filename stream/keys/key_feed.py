"""Keeps the key directory up to date from the topics of keys and of departures, in a thread of its own."""

import logging
import threading
from contextlib import suppress
from functools import partial
from time import monotonic

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from keytrail.schemas.damage import is_damage
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import DEPARTURES, KEYS, Topic
from keytrail.stream.errors import StateFormError
from keytrail.stream.keys import departures
from keytrail.stream.keys.key_reading import KeyReader
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.worker.patience import until_available

logger = logging.getLogger(__name__)

_WHO = "The feed of keys"
_TIMEOUT_S = 30.0
_QUERY_S = 5.0
_POLL_S = 0.2
_BATCH = 1000


class KeyFeed:
    """`catch_up` makes the directory as fresh as the topic of keys; between calls the thread follows both
    topics, until the process ends.

    Departures are not waited for: uses of a key whose owner turns out to have left are judged anew.
    """

    def __init__(self, kafka: KafkaSettings, registry: Registry, directory: KeyDirectory) -> None:
        self._directory = directory
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
        places = []
        for topic in (KEYS, DEPARTURES):
            partitions = until_available(_WHO, partial(self._partitions, topic))
            places += [TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in partitions]
        self._applied = {place.partition: 0 for place in places if place.topic == KEYS.name}
        self._consumer.assign(places)
        self._asking = self._new_asking()
        self._thread.start()
        until_available(_WHO, self.catch_up)

    def _partitions(self, wanted: Topic) -> list[int]:
        try:
            topic = self._consumer.list_topics(wanted.name, _QUERY_S).topics[wanted.name]
        except KafkaException as error:
            raise self._unavailable(error) from error
        if topic.error is not None or not topic.partitions:
            raise UnavailableError(f"Topic {wanted.name} is not there.", "Run `keytrail prepare`.")
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
                    self._apply(message)
            if messages:
                with self._moved:
                    for message in messages:
                        self._move(message)
                    self._moved.notify_all()

    def _apply(self, message: Message) -> None:
        place = f"{message.topic()} offset {message.offset()}"
        if message.topic() == KEYS.name:
            apply = partial(self._reader.apply, message.key(), message.value(), place)
            until_available(_WHO, apply)
            return
        try:
            self._directory.owner_leaves(*departures.read(message.key() or b"", message.value()))
        except (StateFormError, ValueError, TypeError) as error:
            logger.error("%s is no departure (%s); it is left out.", place, error)

    def _move(self, message: Message) -> None:
        """Note how far the topic of keys has been applied."""
        error, offset, partition = message.error(), message.offset(), message.partition()
        if error is not None and is_damage(error):
            self._damage = f"{message.topic()}/{partition} cannot be read: {error.str()}."
        if offset is None or partition is None or message.topic() != KEYS.name:
            return
        if error is None:
            self._applied[partition] = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self._applied[partition] = max(offset, self._applied[partition])
