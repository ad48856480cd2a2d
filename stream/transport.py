"""Faust's Kafka transport, changed in two ways: it delivers batches, and it never commits offsets.

Faust hands its agents one message a record, which costs more than everything else the worker
does (docs/decisions/002-faust-on-batches.md).  Here one message holds all records that a fetch
brought from one partition.  Offsets are committed by the transaction that carries a batch's
output, so Faust's own commits and the bookkeeping for them are left out.
"""

from collections.abc import AsyncIterator
from typing import Any, cast

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types import ConsumerMessage as FaustMessage


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only, and answers a fetch as soon as there is anything."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            check_crcs=conf.broker_check_crcs,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )


class BatchConsumer(driver.Consumer):
    """Yields one message per fetched partition; its value is the records, its offset the last one's."""

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, FaustMessage]]:
        generation = self.app.consumer_generation_id
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        for tp, batch in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                # A rebalance came between.  The client's position is past what is dropped here, so it
                # goes back to what is committed; what comes twice is left out by the partition's task.
                await self._back_to_committed()
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, _message(tp, batch, generation)

    async def _back_to_committed(self) -> None:
        """Each partition's position is what the group has committed, or the beginning where it has nothing.

        Faust's own `perform_seek` leaves a partition without a commit where it is.
        """
        committed = await self.seek_to_committed()
        if untouched := [tp for tp, offset in committed.items() if not offset]:
            await self._thread.seek_to_beginning(*untouched)
        for tp, offset in committed.items():
            self._read_offset[ensure_TP(tp)] = offset or None

    def ack(self, message: Any) -> bool:
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are usual here: they are the other records of a batch, and transaction markers."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would warn that nothing is committed."""


class BatchTransport(driver.Transport):
    """Named in the Faust app's settings in place of the stock transport."""

    Consumer = BatchConsumer


def _message(tp: TP, batch: list[Any], generation: int) -> FaustMessage:
    last = batch[-1]
    return FaustMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000,
        last.timestamp_type,
        [],
        None,
        cast(bytes, batch),  # Faust passes values through unseen where no codec is set
        None,
        tp=tp,
        generation_id=generation,
    )
