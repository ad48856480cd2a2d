"""What exactly-once costs the worker: the same worker with transactions, and with plain produce and commit.

Each run has a stack of its own, in which the events lie before the worker starts; it ends when the worker
has committed the last of them.  Runs of both kinds take turns, so that a busy machine is shared fairly.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.stack import running_stack, start, stop
from keytrail.cli.output import log_to_stderr
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import KafkaSettings, Settings, load_settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, EVENTS, WORKER_GROUP
from keytrail.stream.errors import TransactionFailedError
from keytrail.stream.policies.policy import Policy
from keytrail.stream.worker import partition_task
from keytrail.stream.worker.transaction import GroupOffsets, Outgoing
from keytrail.stream.worker.worker import Worker, WorkerOptions

EXACTLY_ONCE, AT_LEAST_ONCE = "exactly-once", "at-least-once"
COUNT = 300_000
ROUNDS = 2
_TIMEOUT_S = 600.0
_FLUSH_S = 60.0


class PlainWriter:
    """As `TransactionalWriter`, without transactions: a batch's output is acknowledged, then its offset
    committed.  A worker that dies in between does the batch again."""

    def __init__(self, kafka: KafkaSettings, _group: GroupOffsets, source: str, partition: int) -> None:
        self._source = TopicPartition(source, partition)
        # Its commits go out as those of a consumer that never joined, as the transactions' do.
        self._consumer = Consumer(kafka.client(group_id=f"{WORKER_GROUP}-plain", enable_auto_commit=False))
        self._producer = Producer(
            kafka.client(
                enable_idempotence=True,
                partitioner="murmur2_random",
                compression_type="lz4",
                linger_ms=5,
                queue_buffering_max_messages=1_000_000,
            )
        )

    def fence(self) -> None:
        """Nobody is shut out."""

    def commit(self, outgoing: Sequence[Outgoing], next_offset: int | None) -> None:
        for part in outgoing:
            messages = cast(list[dict[str, Any]], part.messages)
            if self._producer.produce_batch(part.topic, messages, part.partition) != len(messages):
                raise TransactionFailedError(
                    f"{part.topic} took not all messages.", "See the broker's limits."
                )
        self._producer.flush(_FLUSH_S)
        if next_offset is not None:
            position = TopicPartition(self._source.topic, self._source.partition, next_offset)
            self._consumer.commit(offsets=[position], asynchronous=False)


@dataclass(frozen=True)
class Cost:
    """Of one run of the worker, from its first commit to its last."""

    events_per_s: float
    cpu_s_per_100k: float


def main() -> None:
    costs: dict[str, list[Cost]] = {EXACTLY_ONCE: [], AT_LEAST_ONCE: []}
    for _ in range(ROUNDS):
        for mode, found in costs.items():
            found.append(measure(mode))
            cost = found[-1]
            print(f"{mode}: {cost.events_per_s:,.0f} events/s, {cost.cpu_s_per_100k:.2f} CPU s per 100,000")
    rate = {mode: statistics.median(c.events_per_s for c in found) for mode, found in costs.items()}
    cpu = {mode: statistics.median(c.cpu_s_per_100k for c in found) for mode, found in costs.items()}
    print(f"throughput, exactly-once against at-least-once: {rate[EXACTLY_ONCE] / rate[AT_LEAST_ONCE]:.2f}")
    print(f"CPU, exactly-once against at-least-once: {cpu[EXACTLY_ONCE] / cpu[AT_LEAST_ONCE]:.2f}")


def measure(mode: str) -> Cost:
    """Starts a stack, fills it, and has one worker of this kind read it to its end."""
    with running_stack() as settings:
        fill(settings, COUNT)
        return _drained(mode, settings)


def fill(settings: Settings, count: int) -> None:
    """The topics of keys and events, with a simulated company's."""
    simulation = Simulation(count, seed=7)
    keys, events = KeyPublisher(settings), EventPublisher(settings)
    keys.publish_all(simulation.keys())
    keys.close(_FLUSH_S)
    events.publish_all(simulation.events())
    events.close(_FLUSH_S)


def _drained(mode: str, settings: Settings) -> Cost:
    group = WORKER_GROUP if mode == EXACTLY_ONCE else f"{WORKER_GROUP}-plain"
    consumer = Consumer(settings.kafka.client(group_id=group, enable_auto_commit=False))
    places = [TopicPartition(EVENTS.name, number) for number in range(DEFAULT_PARTITIONS)]

    def done() -> int:
        """Offsets committed.  No transaction wrote to this topic, so they are events."""
        return sum(max(0, found.offset) for found in consumer.committed(places, _FLUSH_S))

    worker = start(settings, mode, module="benchmarks.exactly_once")
    try:
        process = psutil.Process(worker.pid)
        deadline = time.monotonic() + _TIMEOUT_S

        def wait_for(count: int) -> tuple[int, float, float]:
            while (now := done()) < count:
                if worker.poll() is not None or time.monotonic() > deadline:
                    raise KeytrailError(f"The {mode} worker stopped at {now} of {COUNT} events.")
                time.sleep(0.05)
            times = process.cpu_times()
            return now, time.monotonic(), times.user + times.system

        first, began, cpu_before = wait_for(1)
        last, ended, cpu_after = wait_for(COUNT)
    finally:
        stop(worker)
        consumer.close()
    return Cost((last - first) / (ended - began), (cpu_after - cpu_before) / (last - first) * 1e5)


def run_worker(mode: str, data_dir: Path) -> int:
    """The worker process: the product's own, but for the writer."""
    log_to_stderr()
    if mode == AT_LEAST_ONCE:
        vars(partition_task)["TransactionalWriter"] = PlainWriter
    with tempfile.TemporaryDirectory(prefix="keytrail-worker-") as scratch:
        return Worker(load_settings(data_dir=data_dir), Policy(), WorkerOptions(Path(scratch))).run()


if __name__ == "__main__":
    if len(sys.argv) == 4:  # mode --data-dir folder
        sys.exit(run_worker(sys.argv[1], Path(sys.argv[3])))
    main()
