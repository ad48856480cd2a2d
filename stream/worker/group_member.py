"""The worker's membership in its consumer group, and what it fetches: one thread around librdkafka's client.

Nothing is fetched until it is asked for, so a batch holds what has come by then: little when traffic is
light, much when it is heavy.  A rebalance holds the thread until the listener is done with it.
"""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from keytrail.schemas.damage import DamagedPlaces, PassOver, is_damage
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import KafkaSettings
from keytrail.stream.reading.source import Headers, LostRecord, SourceRecord

logger = logging.getLogger(__name__)

Place = tuple[str, int]
HEADERS_LOST = "keytrail-headers-not-utf-8"
_POLL_S = 0.1
_IDLE_S = 1.0
_CLOSE_S = 3.0


@dataclass(frozen=True)
class MemberOptions:
    """`instance` names a static member, which keeps its partitions over a quick restart."""

    group: str
    topics: Sequence[str]
    session_s: float
    heartbeat_s: float
    batch_records: int
    instance: str | None = None
    pass_over: PassOver = field(default_factory=dict)


@dataclass(frozen=True)
class FetchedBatch:
    """Records of one partition, in order.

    Batches of a partition are numbered from 0 under each assignment, so that whoever takes them sees where
    one was dropped on its way.
    """

    number: int
    records: list[SourceRecord]


@dataclass(frozen=True)
class Fetched:
    """What one fetch brought, by partition, and the assignment under which it came."""

    generation: int
    batches: dict[Place, FetchedBatch]


class Listener(Protocol):
    """Called from the member's thread, which waits until the call returns."""

    def assigned(self, generation: int, places: set[Place]) -> None: ...
    def revoked(self, places: set[Place]) -> None: ...
    def fetched(self, fetched: Fetched) -> None: ...
    def failed(self, error: Exception) -> None: ...


class FetchedRecord:
    """A client's message as a source record; what only dead letters need is read when it is asked for."""

    __slots__ = ("_headers", "_message", "offset", "value")

    def __init__(self, message: Message) -> None:
        self.offset: int = message.offset()  # type: ignore[assignment]
        self.value = message.value()
        self._message = message
        self._headers: Headers | None = None

    @property
    def key(self) -> bytes | None:
        return self._message.key()

    @property
    def timestamp(self) -> int:
        return int(self._message.timestamp()[1])

    @property
    def arrived(self) -> Micros | None:
        """The end of the millisecond in which the broker took it."""
        clock, at_ms = self._message.timestamp()
        return at_ms * 1000 + 999 if clock == TIMESTAMP_LOG_APPEND_TIME else None

    @property
    def headers(self) -> Headers:
        """Where a name is not UTF-8, the client gives none of them; one that says so stands for them."""
        if self._headers is None:
            try:
                # Asked once: after it has failed, the client would answer with a broken list.
                self._headers = self._message.headers() or ()  # type: ignore[assignment]
            except (SystemError, UnicodeDecodeError):
                self._headers = ((HEADERS_LOST, None),)
        return self._headers or ()


class GroupMember:
    """`ask` for records; each ask is answered by one call of the listener's `fetched`, unless `close` comes.

    `start`, `ask` and `close` may be called from any thread.
    """

    def __init__(self, kafka: KafkaSettings, options: MemberOptions, listener: Listener) -> None:
        self._options = options
        self._listener = listener
        self._generation = 0
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._assigned: set[Place] = set()
        self._paused = False
        self._early: list[Message] = []
        self._handed_over: Counter[Place] = Counter()
        instance = {"group_instance_id": options.instance} if options.instance else {}
        self._consumer = Consumer(
            kafka.reader(
                group_id=options.group,
                **instance,
                isolation_level="read_committed",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy="roundrobin",
                session_timeout_ms=int(options.session_s * 1000),
                heartbeat_interval_ms=int(options.heartbeat_s * 1000),
                # Fetched ahead: some batches, for all partitions together.
                queued_max_messages_kbytes=8 * 1024,
                queued_min_messages=options.batch_records,
                fetch_queue_backoff_ms=10,
                fetch_message_max_bytes=512 * 1024,
                fetch_wait_max_ms=100,
                topic_metadata_refresh_interval_ms=10_000,
                allow_auto_create_topics=False,
            )
        )
        self._damaged = DamagedPlaces(kafka, self._consumer, options.pass_over, logger)
        self._thread = threading.Thread(target=self._run, name="group-member", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        self._asked.set()

    def close(self) -> None:
        """Leave the group.  Blocks, for some seconds at most."""
        self._closing.set()
        self._asked.set()
        self._thread.join(_CLOSE_S)

    @property
    def is_closing(self) -> bool:
        """The thread waits for nobody any more."""
        return self._closing.is_set()

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                list(self._options.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
            while not self._closing.is_set():
                if self._asked.wait(_IDLE_S):
                    self._answer()
                else:
                    self._take_part()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to hear of it
            self._listener.failed(error)
        finally:
            self._closing.set()
            with suppress(KafkaException):
                self._consumer.close()

    def _answer(self) -> None:
        if self._paused:
            self._consumer.resume(self._partitions(but=self._damaged))
            self._paused = False
        # `consume` waits for a full batch; so wait for one message, then take what else is there.
        messages, self._early = self._early, []
        if not messages:
            first = self._consumer.poll(_POLL_S)
            self._damaged.remind()
            if first is None:
                return
            generation = self._generation
            messages = [first, *self._consumer.consume(self._options.batch_records - 1, 0)]
            if generation != self._generation:
                # Which of these came under which assignment is not known: begin with what is committed.
                self._consumer.assign(self._partitions())
                return
        if records := self._sorted(messages):
            self._asked.clear()
            batches = {place: FetchedBatch(self._handed_over[place], some) for place, some in records.items()}
            self._handed_over.update(batches.keys())
            self._listener.fetched(Fetched(self._generation, batches))

    def _take_part(self) -> None:
        """Nobody asks for records now, but the group goes on: serve its rebalances.

        To pause a partition throws away what was fetched of it ahead, so it is left to long waits.
        """
        if not self._paused:
            self._consumer.pause(self._partitions())
            self._paused = True
        message = self._consumer.poll(0)
        if message is None:
            return
        error = message.error()
        if error is None or is_damage(error):
            self._early.append(message)
        else:
            self._on_error(error, message.topic())

    def _sorted(self, messages: Sequence[Message]) -> dict[Place, list[SourceRecord]]:
        records: defaultdict[Place, list[SourceRecord]] = defaultdict(list)
        void: set[Place] = set()
        for message in messages:
            place: Place = (message.topic(), message.partition())  # type: ignore[assignment]
            if place in self._damaged or place in void:
                continue
            if (error := message.error()) is None:
                records[place].append(FetchedRecord(message))
            elif is_damage(error):
                lost = self._damaged.meet(message)
                if lost is not None:
                    records[place].extend(LostRecord(offset) for offset in lost)
                    void.add(place)
            else:
                self._on_error(error, message.topic())
        return {place: found for place, found in records.items() if found}

    def _on_error(self, error: KafkaError, topic: str | None) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:  # it says only one of the two
            raise UnavailableError(
                f"Kafka ends this worker's membership: {error.str()}.", "Start the worker again."
            )
        logger.warning("Kafka, %s: %s", topic or "the group", error.str())

    def _partitions(self, but: Container[Place] = ()) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in self._assigned if place not in but]

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget()
        self._generation += 1
        self._assigned = _places(partitions)
        self._paused = True  # the client keeps a partition's pause over a rebalance
        if not self._closing.is_set():
            self._listener.assigned(self._generation, _places(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget()
        if not self._closing.is_set():
            self._listener.revoked(_places(partitions))

    def _forget(self) -> None:
        """The client begins each assignment with what is committed."""
        self._early.clear()
        self._handed_over.clear()
        self._damaged.forget(self._assigned)
        self._assigned = set()


def _places(partitions: Sequence[TopicPartition]) -> set[Place]:
    return {(tp.topic, tp.partition) for tp in partitions}
