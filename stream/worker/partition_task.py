"""One source partition's work: restore its state, process its batches, commit each exactly once.

Opening a task takes four steps, in this order; each relies on the one before:

1. Fence: end an earlier owner's unfinished transaction and shut it out.
2. Read the group's committed offset; nothing can move it now.
3. Restore the state from the changelog, and with it the position that was committed with it.
4. Process from there on; records before it are left out, whoever delivers them.

Records wait in the task's inbox, and one batch is all that waits when its turn comes: little when traffic is
light, much when it is heavy.  The commit of one batch runs in a thread.  A large next batch is processed
meanwhile; a small one is taken a moment afterwards, with what has come by then.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from keytrail.schemas.records import Anomaly, DeadLetter, Signal
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import DEPARTURES, ENRICHED, EVENTS, FINDING_STATE, SIGNALS, SUBJECT_STATE, Topic
from keytrail.stream.errors import LostBatchError, StuckError
from keytrail.stream.findings.signal_reading import Found, SignalReader
from keytrail.stream.keys.key_feed import KeyFeed
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.stages.event_stage import EventBatch, EventOutput, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.stages.rejudging import Due
from keytrail.stream.stages.store import StateChange
from keytrail.stream.worker.again import read_again
from keytrail.stream.worker.at_hand import Slot
from keytrail.stream.worker.compacted import read_to_end
from keytrail.stream.worker.group_member import FetchedBatch
from keytrail.stream.worker.outbox import Outbox
from keytrail.stream.worker.patience import Done, GivenUpError, until_available
from keytrail.stream.worker.position import POSITION, Position, SourceTopic, source_topic, start
from keytrail.stream.worker.transaction import BY_KEY, GroupOffsets, Outgoing, TransactionalWriter

logger = logging.getLogger(__name__)

# librdkafka's own time limits do not hold for every request (its issue 5456).  A call that stays stuck ends
# the process, which begins again at what is committed.
_STUCK_S = 30.0
# Records from which on a batch is worth processing while the one before is committed.
_LARGE_BATCH = 1_000
# A small batch waits for so long after the commit before it: a transaction costs the broker about 5 ms of
# CPU, however little is in it.
_REST_S = 0.04


@dataclass(frozen=True)
class TaskContext:
    """What every task of a worker works with; `on_failure` hears of what went wrong.

    A batch, and what may wait beside it, has at most `batch_records` records.  `policies` are those that are
    known, and `learn_policies` waits for those that were applied since.
    """

    kafka: KafkaSettings
    group: GroupOffsets
    registry: Registry
    on_failure: Callable[[BaseException], None]
    batch_records: int
    policies: Timeline
    learn_policies: Callable[[], None]


class PartitionTask(ABC):
    """Base of both stages' tasks.  Belongs to one event loop.

    A task serves one assignment of its partition: after a rebalance a new one takes its place, which
    restores what was committed.
    """

    def __init__(
        self, context: TaskContext, source: Topic, partition: int, changelog: Topic, at_hand: Slot
    ) -> None:
        self.partition = partition
        self._at_hand = at_hand
        self.source = source
        self._context = context
        self._changelog = changelog
        self._outbox = Outbox(context.registry)
        self._writer = TransactionalWriter(context.kafka, context.group, source.name, partition)
        self._next_offset = 0
        self._topic = SourceTopic("", 0)
        self._closed = False
        self._lock = asyncio.Lock()
        self._committing: asyncio.Future[None] | None = None
        self._inbox: list[SourceRecord] = []
        self._taken = 0
        self._rested_at = 0.0
        self._has_work, self._has_room = asyncio.Event(), asyncio.Event()
        self._has_room.set()
        self._opened = asyncio.ensure_future(asyncio.to_thread(self._open))
        self._opened.add_done_callback(self._report)
        self._running = asyncio.ensure_future(self._run())
        self._running.add_done_callback(self._report)

    async def take(self, batch: FetchedBatch) -> None:
        """Put a batch into the inbox; waits while that is full.  A closed task takes nothing.

        Where the batch before did not come, the worker fails: to go on without it would be a loss.
        """
        await self._has_room.wait()
        if self._closed:
            return
        if batch.number != self._taken:
            place = f"{self.source.name}/{self.partition}"
            lost = LostBatchError(
                f"{place}: batch {batch.number} came where {self._taken} was due; one was dropped.",
                "The worker starts anew from what is committed.",
            )
            self._context.on_failure(lost)
            return
        self._taken += 1
        self._inbox.extend(batch.records)
        self._has_work.set()
        if len(self._inbox) >= self._context.batch_records:
            self._has_room.clear()

    async def close(self) -> None:
        """Wait for what is under way to be committed; what is in the inbox is left to the next owner."""
        self._closed = True
        self._has_work.set()
        self._has_room.set()
        await asyncio.wait([self._opened, self._running])
        async with self._lock:
            if self._committing is not None:
                await asyncio.wait([self._committing])

    @property
    def is_open(self) -> bool:
        """True once the state is restored, until the task is closed or fails."""
        return not self._closed and self._opened.done() and self._opened.exception() is None

    async def _run(self) -> None:
        with suppress(GivenUpError):
            await asyncio.wait([self._opened])
            while self.is_open:
                await self._has_work.wait()
                async with self._lock:
                    await self._handle_next()

    async def _handle_next(self) -> None:
        """Process a batch and send its output on the way; returns before that is committed."""
        if not self._is_large:
            await self._committed()
            await self._rest()
        if not self.is_open:
            return
        batch, self._inbox = self._batch()
        if self._inbox:
            self._has_work.set()  # resting has cleared it
        else:
            self._has_work.clear()
        self._has_room.set()
        fresh, next_offset = [], self._next_offset
        for record in batch:
            # What comes twice is left out, within a batch too.
            if record.offset >= next_offset:
                fresh.append(record)
                next_offset = record.offset + 1
        if fresh:
            outgoing = await self._process(fresh)
            self._next_offset = next_offset
            await self._submit(outgoing, self._next_offset)

    @property
    def _is_large(self) -> bool:
        """A full inbox is, however little fits in."""
        return len(self._inbox) >= min(_LARGE_BATCH, self._context.batch_records)

    async def _rest(self) -> None:
        """Let records gather for a moment after the latest commit; a large batch and closing end it."""
        loop = asyncio.get_running_loop()
        while not self._closed and not self._is_large:
            left = self._rested_at - loop.time()
            if left <= 0:
                return
            self._has_work.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_work.wait(), left)

    def _batch(self) -> tuple[list[SourceRecord], list[SourceRecord]]:
        """The next batch, and what is left in the inbox."""
        most = self._context.batch_records
        return self._inbox[:most], self._inbox[most:]

    @abstractmethod
    async def settle(self) -> None:
        """Do what no record asks for but time or other topics.  Called now and then."""

    @abstractmethod
    def _restore(self, key: bytes, value: bytes | None) -> None: ...

    @abstractmethod
    async def _process(self, records: Sequence[SourceRecord]) -> list[Outgoing]: ...

    async def _submit(self, outgoing: list[Outgoing], next_offset: int | None) -> None:
        await self._committed()
        if next_offset is not None:
            position = StateChange(POSITION, Position(self._topic.topic_id, next_offset).pack())
            # Before the ledger, which a check finds at the changelog's end.
            outgoing = [self._outbox.changes(self._changelog, self.partition, [position]), *outgoing]
        written = [part for part in outgoing if part.messages]
        self._committing = asyncio.ensure_future(self._commit(written, next_offset))
        self._committing.add_done_callback(self._report)

    async def _committed(self) -> None:
        """The latest commit is done.  Raises what it raised."""
        if self._committing is not None:
            await asyncio.shield(self._committing)

    async def _commit(self, outgoing: list[Outgoing], next_offset: int | None) -> None:
        """In a thread; raises `StuckError` where it does not come back."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._writer.commit, outgoing, next_offset), _STUCK_S)
        except TimeoutError:
            raise StuckError(
                f"{self.source.name}/{self.partition}: a commit did not return within {_STUCK_S:.0f} s.",
                "The worker starts anew from what is committed; see whether Kafka runs.",
            ) from None
        self._rested_at = asyncio.get_running_loop().time() + _REST_S

    def _report(self, work: "asyncio.Future[None]") -> None:
        error = None if work.cancelled() else work.exception()
        if error is None or isinstance(error, GivenUpError):
            return
        if self._closed and not isinstance(error, StuckError):
            # Whoever has the partition now has fenced this task and goes on from what was committed.
            logger.warning("%s/%d, already given up: %s", self.source.name, self.partition, error)
        else:
            self._context.on_failure(error)

    async def _patiently(self, act: Callable[[], Done]) -> Done:
        """What `act` gives, in a thread; where something is away, wait: the records may be fine."""
        return await asyncio.to_thread(self._until_done, act)

    def _until_done(self, act: Callable[[], Done]) -> Done:
        return until_available(f"{self.source.name}/{self.partition}", act, lambda: self._closed)

    def _open(self) -> None:
        self._until_done(self._outbox.register)
        self._writer.fence()
        kafka, source = self._context.kafka, self.source.name
        committed = self._until_done(partial(self._context.group.committed, source, self.partition))
        self._topic = self._until_done(partial(source_topic, kafka, source))
        # Another worker may have gone by a policy that was applied since this one looked.
        self._until_done(self._context.learn_policies)
        restored, kept = 0, None
        for key, value in read_to_end(kafka, self._changelog.name, self.partition):
            if key == POSITION:
                kept = None if value is None else Position.unpack(value)
            else:
                self._restore(key, value)
            restored += 1
        self._next_offset = start(committed, kept, self._topic.topic_id)
        if self._next_offset > (committed or 0):
            logger.warning(
                "%s/%d: the group's offset %s is behind what is processed; going on at %d.",
                *(source, self.partition, committed, self._next_offset),
            )
        poison = self._at_hand.begin(self._next_offset)
        if poison is not None:
            logger.error(
                "%s/%d: the worker died twice with offset %d at hand; that record becomes a dead letter.",
                *(source, self.partition, poison),
            )
        logger.info(
            "%s/%d: %d state records restored, going on at offset %d.",
            self.source.name,
            self.partition,
            restored,
            self._next_offset,
        )


class EventTask(PartitionTask):
    """A partition of the events topic."""

    def __init__(
        self, context: TaskContext, partition: int, stage: EventStage, keys: KeyFeed, at_hand: Slot
    ) -> None:
        self._stage = stage
        self._keys = keys
        super().__init__(context, EVENTS, partition, SUBJECT_STATE, at_hand)

    def _restore(self, key: bytes, value: bytes | None) -> None:
        self._stage.restore(key, value)

    async def _process(self, records: Sequence[SourceRecord]) -> list[Outgoing]:
        output = self._stage.process(await self._patiently(partial(self._read, records)))
        return [
            self._outbox.enriched(ENRICHED, self.partition, output.enriched),
            self._outbox.signals(output.signals),
            self._outbox.dead_letters(output.dead),
            self._outbox.changes(DEPARTURES, BY_KEY, output.departures),
            self._outbox.changes(SUBJECT_STATE, self.partition, self._stage.take_changes()),
        ]

    async def settle(self) -> None:
        """Judge anew what more is known of than when it came."""
        async with self._lock:
            if not self.is_open:
                return
            due = await asyncio.to_thread(self._stage.due)
            if not due:
                return
            with suppress(GivenUpError):
                output, changes = await self._patiently(partial(self._rejudge, due))
                outgoing = [
                    self._outbox.signals(output.signals),
                    self._outbox.changes(DEPARTURES, BY_KEY, output.departures),
                    self._outbox.changes(SUBJECT_STATE, self.partition, changes),
                ]
                await self._submit(outgoing, None)

    def _rejudge(self, due: Due) -> tuple[EventOutput, list[StateChange]]:
        again = read_again(self._context.kafka, EVENTS.name, self.partition, due.offsets)
        output = self._stage.rejudge(due, list(again))
        return output, self._stage.take_changes()

    def _read(self, records: Sequence[SourceRecord]) -> EventBatch:
        batch = self._stage.read(records)
        # Every key change that was in Kafka before these events were read counts for them.
        self._keys.catch_up()
        if batch.announces_policy:
            self._context.learn_policies()
        return batch


class FindingTask(PartitionTask):
    """A partition of the signals topic."""

    def __init__(
        self,
        context: TaskContext,
        partition: int,
        stage: FindingStage,
        reader: SignalReader,
        keys: KeyFeed,
        at_hand: Slot,
    ) -> None:
        self._stage = stage
        self._keys = keys
        self._reader = reader
        super().__init__(context, SIGNALS, partition, FINDING_STATE, at_hand)

    def _open(self) -> None:
        super()._open()
        # The events topic has as many.
        self._stage.expect_partitions(self._topic.partitions)

    def _restore(self, key: bytes, value: bytes | None) -> None:
        self._stage.restore(key, value)

    async def _process(self, records: Sequence[SourceRecord]) -> list[Outgoing]:
        found, dead = await self._patiently(partial(self._read, records))
        anomalies = self._stage.process(self._in_hand(found))
        self._at_hand.clear()
        return [*self._outgoing(anomalies), self._outbox.dead_letters(dead)]

    def _read(self, records: Sequence[SourceRecord]) -> tuple[list[Found], list[DeadLetter]]:
        found, dead = self._reader.read(self.partition, records)
        versions = {one.signal.policy_version for one in found}
        if not all(map(self._context.policies.knows, versions)):
            # Another worker has read them already.
            self._context.learn_policies()
        if self._stage.asks_for_keys(one.signal for one in found):
            self._keys.catch_up()
        return found, dead

    def _in_hand(self, found: Iterable[Found]) -> Iterator[Signal]:
        for one in found:
            self._at_hand.mark(one.offset)
            yield one.signal

    async def settle(self) -> None:
        """Tell subscribers what has waited for quiet."""
        if not self.is_open or not self._stage.has_untold:
            return
        async with self._lock:
            if self._closed:
                return
            await self._submit(self._outgoing(self._stage.settle()), None)

    def _outgoing(self, anomalies: list[Anomaly]) -> list[Outgoing]:
        return [
            self._outbox.anomalies(anomalies),
            self._outbox.changes(FINDING_STATE, self.partition, self._stage.take_changes()),
        ]
