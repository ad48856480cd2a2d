"""Faust's transport: a consumer that delivers batches and never commits offsets.

Faust hands its agents one message a record, which costs more than everything else the worker
does (docs/decisions/002-faust-on-batches.md).  Here one message holds all records that a fetch
brought from one partition.  Membership and fetching are librdkafka's (`group_member`).  Offsets are
committed by the transaction that carries a batch's output, so Faust's own commits and the bookkeeping
for them are left out, and so is its producer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from concurrent.futures import wait as wait_for_futures
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.transport import base
from faust.transport.consumer import Consumer
from faust.types import TP
from faust.types import ConsumerMessage as FaustMessage

from keytrail.schemas.settings import KafkaSettings
from keytrail.stream.worker.group_member import Fetched, FetchedBatch, GroupMember, MemberOptions, Place

_CREATE_TIME = 0
_WAIT_S = 0.1


class _NoProducer(BootStrategy):
    enable_kafka_producer = False


class BatchApp(faust.App):
    """A Faust app without Faust's producer."""

    BootStrategy = _NoProducer


def _unused(_self: Any, *_args: Any, **_more: Any) -> Any:
    raise NotImplementedError("the worker's consumer only delivers batches")


_not_here: Any = _unused


class _NoOffsets(dict[TP, int | None]):
    """What Faust has read of a partition: not kept.  By it Faust would leave out what a new assignment brings
    again, and the partition's task knows better what it has had."""

    def __getitem__(self, _tp: TP) -> None:
        return None

    def __setitem__(self, _tp: TP, _offset: int | None) -> None:
        pass


class BatchConsumer(Consumer):
    """Yields one message per fetched partition; its value is the batch, its offset the last record's.

    What was fetched under an earlier assignment is dropped: the client begins each assignment with what is
    committed, and what comes twice is left out by the partition's task.  What comes under the present one
    waits until Faust has resumed its streams, for it would drop it before (decision 047).
    """

    transport: "BatchTransport"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bridge = _Bridge(self, self.transport.loop)
        self._member = GroupMember(self.transport.kafka, self.transport.options, self._bridge)
        self._arrived: deque[Fetched] = deque()
        self._arrival = asyncio.Event()
        self._places: set[TP] = set()
        self._read_offset = _NoOffsets()
        self._has_begun = False

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, FaustMessage]]:
        fetched = await self._take(timeout)
        if fetched is None:
            return
        for place, batch in fetched.batches.items():
            if not self.can_resume_flow.is_set():
                await self.wait(self.can_resume_flow.wait())
            if self.should_stop or fetched.generation != self.app.consumer_generation_id:
                return
            tp = TP(*place)
            yield tp, _message(tp, batch, fetched.generation)

    async def _take(self, timeout: float) -> Fetched | None:
        if not self._arrived:
            self._arrival.clear()
            self._member.ask()
            try:
                await asyncio.wait_for(self._arrival.wait(), timeout)
            except TimeoutError:
                return None
        taken = self._arrived.popleft()
        # The next is fetched while this one is processed.
        self._member.ask()
        return taken

    def arrived(self, fetched: Fetched) -> None:
        """Called in Faust's loop.  Kept until it is taken: whoever waits may be cancelled meanwhile."""
        self._arrived.append(fetched)
        self._arrival.set()

    async def assigned(self, generation: int, places: set[Place]) -> None:
        self._places = {TP(*place) for place in places}
        self.app.consumer_generation_id = generation
        if not self.app.rebalancing:
            self.app.on_rebalance_start()
        await self.on_partitions_assigned(set(self._places), generation)

    async def revoked(self, places: set[Place]) -> None:
        self.app.on_rebalance_start()
        await self.on_partitions_revoked({TP(*place) for place in places})
        self._places = set()

    def lost_member(self, error: Exception) -> None:
        self.transport.on_failure(error)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Faust calls this once its agents are up; the topics are the member's own."""
        if not set(topics) <= set(self.transport.options.topics):
            raise ValueError(f"an agent listens to a topic that is none of {self.transport.options.topics}")
        if not self._has_begun:
            self._has_begun = True
            self._member.start()

    async def on_stop(self) -> None:
        await super().on_stop()
        if self._has_begun:
            await asyncio.to_thread(self._member.close)

    @property
    def is_closing(self) -> bool:
        """The member's thread waits for nobody any more."""
        return self._member.is_closing

    def close(self) -> None:
        """Faust calls this where a rebalance meets a worker that stops; `on_stop` closes the member."""

    def assignment(self) -> set[TP]:
        return set(self._places)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """The client stands there already; Faust is told of no offset, so it leaves nothing out."""
        return {}

    def ack(self, message: Any) -> bool:
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are usual here: they are the other records of a batch, and transaction markers."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        return False

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    # Faust's tables, its commits and its declaring of topics would ask for these.
    _commit = _getmany = _seek = _to_message = create_topic = earliest_offsets = highwater = _not_here
    highwaters = key_partition = position = seek_wait = topic_partitions = _not_here


class BatchTransport(base.Transport):
    """Given to the Faust app in place of a stock transport.  `on_failure` hears why membership ended."""

    Consumer = BatchConsumer
    driver_version = "keytrail"

    def __init__(self, app: Any, kafka: KafkaSettings, options: MemberOptions, on_failure: Any) -> None:
        super().__init__([], app)
        self.kafka = kafka
        self.options = options
        self.on_failure = on_failure


class _Bridge:
    """From the member's thread into Faust's event loop."""

    def __init__(self, consumer: BatchConsumer, loop: asyncio.AbstractEventLoop) -> None:
        self._consumer = consumer
        self._loop = loop

    def assigned(self, generation: int, places: set[Place]) -> None:
        self._wait(self._consumer.assigned(generation, places))

    def revoked(self, places: set[Place]) -> None:
        self._wait(self._consumer.revoked(places))

    def fetched(self, fetched: Fetched) -> None:
        self._loop.call_soon_threadsafe(self._consumer.arrived, fetched)

    def failed(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self._consumer.lost_member, error)

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        """Until it is done, or the worker stops: then nobody may be left to do it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while not self._consumer.is_closing:
            if wait_for_futures([future], _WAIT_S).done:
                future.result()
                return


def _message(tp: TP, batch: FetchedBatch, generation: int) -> FaustMessage:
    last = batch.records[-1]
    return FaustMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000,
        _CREATE_TIME,
        [],
        None,
        cast(bytes, batch),  # Faust passes values through unseen where no codec is set
        None,
        tp=tp,
        generation_id=generation,
    )
