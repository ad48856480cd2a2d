"""The sink: reads the topics, seals blocks by size and by the clock, ships them, commits behind.

One thread, the one that calls `run`, owns the consumer, the lanes and all bookkeeping.  Blocks are shipped
and partitions opened in the background; what came of it is collected here.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from keytrail.schemas.damage import DamagedPlaces, PassOver, is_damage
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import SINK_GROUP
from keytrail.sinks.clickhouse.assignment import Assignment
from keytrail.sinks.clickhouse.background import in_background
from keytrail.sinks.clickhouse.errors import ReopenError, StoppedError
from keytrail.sinks.clickhouse.incarnations import Incarnations
from keytrail.sinks.clickhouse.inserts import Delivered
from keytrail.sinks.clickhouse.lanes import FlushRule, Lane
from keytrail.sinks.clickhouse.opening import Opening
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.positions import Committed
from keytrail.sinks.clickhouse.shipping import Shipping
from keytrail.sinks.cluster import Place, TopicState

_log = logging.getLogger("keytrail.sink")

_CONSUME_RECORDS = 5_000
_CONSUME_WAIT_S = 0.05
_SHORT_JAM_S = 2.0


@dataclass(frozen=True)
class SinkConfig:
    """How one sink runs.

    `group_instance` is a name that a restarted sink keeps, so that a short absence moves no partition;
    empty: none.  A sink that died is missed after `session_timeout_s`.  `memory_bytes` bounds the records
    that are held at once.  `pass_over` names damaged batches to go on without.
    """

    group: str = SINK_GROUP
    group_instance: str = ""
    flush: FlushRule = field(default_factory=FlushRule)
    memory_bytes: int = 40 * 1024 * 1024
    session_timeout_s: float = 6.0
    commit_every_s: float = 1.0
    check_topics_every_s: float = 2.0
    stop_within_s: float = 4.0
    pass_over: PassOver = field(default_factory=dict)


class Sink:
    """Runs once, until `stop`.  Not thread-safe, but for `stop`."""

    def __init__(
        self,
        kafka: KafkaSettings,
        config: SinkConfig,
        opening: Opening,
        shipping: Shipping,
        incarnations: Incarnations,
        patience: Patience,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._config = config
        self._shipping = shipping
        self._incarnations = incarnations
        self._patience = patience
        self._clock = clock
        self._consumer = Consumer(consumer_config(kafka, config))
        self._damaged = DamagedPlaces(kafka, self._consumer, config.pass_over, _log)
        self._assignment = Assignment(self._consumer, opening, self._damaged, self._finish)
        self._shipments: dict[Place, tuple[Lane, Future[Delivered]]] = {}
        self._committed: dict[Place, Committed] = {}
        self._commit_at = self._check_at = clock()
        self._check: Future[Mapping[str, TopicState]] | None = None
        self._full_since: float | None = None
        self._paused: set[Place] = set()
        self._stopping = False
        self._leave_by = inf
        self.rows = 0

    def stop(self) -> None:
        """Ends `run` soon: what is under way is finished, for as long as `stop_within_s` allows."""
        self._stopping = True

    def run(self) -> None:
        """Raises `RefusedError` where ClickHouse refuses for good, `UnavailableError` where Kafka does."""
        try:
            self._assignment.subscribe()
            while not self._stopping:
                self._take(self._read())
                self._assignment.advance()
                self._seal()
                self._collect()
                self._commit()
                self._check_topics()
                self._damaged.remind()
        finally:
            # Tries that wait for something to come back end now; what is under way has a little time.
            self._patience.stop()
            self._leave_by = self._clock() + self._config.stop_within_s
            self._consumer.close()
            _log.info("stopped; %d rows were stored in this run", self.rows)

    def _read(self) -> list[Message]:
        """The next records; none while the lanes hold too much.

        A short jam is waited out: to pause a partition throws away what was fetched of it ahead.
        """
        now = self._clock()
        lanes = self._assignment.lanes
        self._paused.intersection_update(lanes)
        held = sum(lane.size_bytes for lane in lanes.values())
        if held < self._config.memory_bytes:
            self._full_since = None
            if self._paused and held < self._config.memory_bytes // 2:
                whole = [place for place in self._paused if place not in self._damaged]
                self._consumer.resume([TopicPartition(*place) for place in whole])
                self._paused.clear()
        else:
            self._full_since = self._full_since or now
            under_way = [future for _, future in self._shipments.values()]
            if under_way and now - self._full_since < _SHORT_JAM_S:
                wait(under_way, _CONSUME_WAIT_S, FIRST_COMPLETED)
                return []
            to_pause = [place for place in lanes if place not in self._paused]
            self._consumer.pause([TopicPartition(*place) for place in to_pause])
            self._paused.update(to_pause)
        due = min((lane.due_at(self._config.flush) for lane in lanes.values()), default=inf)
        return self._consumer.consume(_CONSUME_RECORDS, min(max(due - now, 0.0), _CONSUME_WAIT_S))

    def _take(self, messages: Iterable[Message]) -> None:
        now = self._clock()
        lanes = self._assignment.lanes
        void: set[Place] = set()
        for message in messages:
            place = Place(message.topic() or "", -1 if (p := message.partition()) is None else p)
            lane = None if place in self._damaged or place in void else lanes.get(place)
            error = message.error()
            if error is None:
                if lane:
                    lane.add(message, now)
            elif not is_damage(error):
                self._on_error(error, message, lane)
            elif lane and (lost := self._damaged.meet(message)) is not None:
                lane.position.reached(lost.stop)
                void.add(place)

    def _on_error(self, error: KafkaError, message: Message, lane: Lane | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            if lane and (offset := message.offset()) is not None:
                lane.position.reached(offset)
        elif error.fatal() or error.code() == KafkaError._FATAL:  # it says only one of the two
            raise UnavailableError(
                f"Kafka ends this sink's membership: {error.str()}.", "Start the sink again."
            )
        else:
            _log.warning("Kafka, %s: %s", message.topic() or "the group", error.str())

    def _seal(self) -> None:
        now = self._clock()
        # Where memory is short, what waits is not left to wait.
        soon = inf if self._full_since is not None else now
        for place, lane in self._assignment.lanes.items():
            if lane.due_at(self._config.flush) < inf and lane.due_at(self._config.flush) <= soon:
                work = partial(
                    self._shipping.ship, lane.table, lane.claim, lane.seal(self._config.flush, now)
                )
                self._shipments[place] = (lane, in_background(f"ship-{place.topic}-{place.partition}", work))

    def _collect(self) -> None:
        """Settles the blocks that are through; where one was broken off, its partition is opened anew."""
        for place, (lane, future) in list(self._shipments.items()):
            if not future.done():
                continue
            del self._shipments[place]
            current = self._assignment.lanes.get(place) is lane
            try:
                delivered = future.result()
            except ReopenError as error:
                _log.warning("opens %s, partition %d, anew: %s", *place, error)
                if current:
                    self._assignment.reopen([place])
            except StoppedError:
                continue
            else:
                lane.settle(delivered.rows, self._clock())
                self.rows += delivered.rows

    def _commit(self, *, at_once: bool = False) -> None:
        """Tells Kafka how far the lanes are; a commit that fails is made up for by the next."""
        now = self._clock()
        if now < self._commit_at and not at_once:
            return
        self._commit_at = now + self._config.commit_every_s
        positions = {place: lane.position.committable() for place, lane in self._assignment.lanes.items()}
        changed = {place: done for place, done in positions.items() if self._committed.get(place) != done}
        if not changed:
            return
        offsets = [TopicPartition(*place, done.offset, done.note()) for place, done in changed.items()]
        try:
            if at_once:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            _log.warning("Kafka does not take a commit: %s", error.args[0].str())
        else:
            self._committed.update(changed)

    def _check_topics(self) -> None:
        """Looks now and then whether a topic was made anew: its records would pass for known ones."""
        now = self._clock()
        if self._check and self._check.done():
            try:
                topics = self._check.result()
            except UnavailableError as error:
                _log.warning("%s", error)
            else:
                lanes = self._assignment.lanes.items()
                self._assignment.reopen(
                    [
                        place
                        for place, lane in lanes
                        if place.topic in topics and topics[place.topic].incarnation != lane.claim.incarnation
                    ]
                )
            self._check = None
        if not self._check and now >= self._check_at:
            self._check_at = now + self._config.check_topics_every_s
            self._check = in_background("topics", partial(self._incarnations.since, now))

    def _finish(self, places: Collection[Place]) -> None:
        """Waits, not for ever, for what is under way in these partitions, and commits it."""
        under_way = [future for place, (_, future) in self._shipments.items() if place in places]
        patience = min(self._config.stop_within_s, self._leave_by - self._clock())
        wait(under_way, max(patience, 0.0))
        self._collect()
        self._commit(at_once=True)


def consumer_config(kafka: KafkaSettings, config: SinkConfig) -> dict[str, str | int | float | bool]:
    """What the sink asks of librdkafka."""
    instance = {"group_instance_id": config.group_instance} if config.group_instance else {}
    return kafka.reader(
        group_id=config.group,
        **instance,
        isolation_level="read_committed",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        enable_partition_eof=True,
        auto_offset_reset="earliest",
        partition_assignment_strategy="cooperative-sticky",
        session_timeout_ms=int(config.session_timeout_s * 1000),
        heartbeat_interval_ms=int(config.session_timeout_s * 1000 / 3),
        # What is fetched ahead lies in memory too; a full queue is looked at again soon.  Little of each
        # partition at a time, so that all are read in turn, and not one to its end before the next.
        queued_max_messages_kbytes=4 * 1024,
        fetch_queue_backoff_ms=20,
        fetch_message_max_bytes=512 * 1024,
        fetch_wait_max_ms=100,
        fetch_min_bytes=512 * 1024,
        topic_metadata_refresh_interval_ms=10_000,
        allow_auto_create_topics=False,
    )
