"""What a worker holds that has a million subjects' state, and how long it takes to get it back.

    python -m benchmarks.restore [--subjects 1000000] [--roles 20] [--keys 200000]

The changelog is written as a worker would have, and so are the keys.  One worker starts on a stack of its
own: it reads keys and changelog, of all partitions at once, and then judges 100,000 grants and revokes of
subjects drawn at random.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks import state
from benchmarks.measure import keep
from benchmarks.stack import running_stack, start, stop
from benchmarks.state import Size
from keytrail.producers.datum import flat_encoder
from keytrail.producers.publisher import KeyPublisher
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, EVENTS, SUBJECT_STATE, WORKER_GROUP, Topic
from keytrail.stream.access import access_form

_DISTINCT = 1_000
_BATCH = 10_000
_FLUSH_S = 60.0
_TIMEOUT_S = 600.0
_POLL_S = 0.1
_MIB = 1 << 20

Numbered = tuple[int, bytes | None, bytes]


@dataclass(frozen=True)
class Restored:
    """From the worker's start until every partition's state was there, and until the last event was done."""

    subjects: int
    roles: int
    keys: int
    restored_s: float
    restored_mib: float
    done_s: float
    most_mib: float


def write(settings: Settings, topic: Topic, records: Iterable[Numbered]) -> None:
    """Records of key and value; those of one number lie in one partition."""
    producer = Producer(settings.kafka.client(enable_idempotence=True, compression_type="lz4", linger_ms=20))
    endless = iter(records)
    while chunk := list(islice(endless, _BATCH)):
        for partition in range(DEFAULT_PARTITIONS):
            own = [
                {"key": key, "value": value}
                for number, key, value in chunk
                if number % DEFAULT_PARTITIONS == partition
            ]
            if producer.produce_batch(topic.name, own, partition) != len(own):
                raise KeytrailError("The producer's queue is full.")
        producer.flush(_FLUSH_S)


def states(size: Size) -> Iterator[Numbered]:
    rng = random.Random(7)
    packed = [access_form.pack(state.holder(size.roles, rng)) for _ in range(_DISTINCT)]
    for number in range(size.subjects):
        yield number, b"subject/" + state.subject(number).encode(), packed[number % _DISTINCT]


def events(settings: Settings, size: Size) -> Iterator[Numbered]:
    text = avro.schema_text("event")
    header = wire.frame(Registry(settings.registry).register(EVENTS, text))
    encode = flat_encoder(avro.parse(text))
    for number, event in state.changes(size):
        yield number, event.whose.encode(), header + encode(event)


def measure(size: Size) -> Restored:
    with running_stack() as settings, ExitStack() as opened:
        write(settings, SUBJECT_STATE, states(size))
        keys = KeyPublisher(settings)
        keys.publish_all(map(state.key, range(size.keys)))
        keys.close(_FLUSH_S)
        write(settings, EVENTS, events(settings, size))
        offsets = Consumer(settings.kafka.client(group_id=WORKER_GROUP, enable_auto_commit=False))
        opened.callback(offsets.close)
        places = [TopicPartition(EVENTS.name, number) for number in range(DEFAULT_PARTITIONS)]
        log = settings.data_dir / "worker.log"
        began = time.monotonic()
        process = start(settings, "worker")
        opened.callback(stop, process)
        worker = psutil.Process(process.pid)

        def restored() -> int:
            return sum(f"{EVENTS.name}/" in line and "restored" in line for line in log.open())

        def committed() -> int:
            return sum(max(0, found.offset) for found in offsets.committed(places, _TIMEOUT_S))

        restored_mib = _most_until(restored, DEFAULT_PARTITIONS, worker)
        restored_s = time.monotonic() - began
        most_mib = _most_until(committed, state.EVENTS, worker)
        done_s = time.monotonic() - began
        return Restored(*(size.subjects, size.roles, size.keys), restored_s, restored_mib, done_s, most_mib)


def _most_until(done: Callable[[], int], wanted: int, worker: psutil.Process) -> float:
    """The most that the worker held until so much was done, in MiB."""
    deadline, most = time.monotonic() + _TIMEOUT_S, 0
    while (now := done()) < wanted:
        if time.monotonic() > deadline:
            raise KeytrailError(f"{now} of {wanted} within {_TIMEOUT_S:.0f} s.")
        most = max(most, worker.memory_info().rss)
        time.sleep(_POLL_S)
    return max(most, worker.memory_info().rss) / _MIB


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--subjects", type=int, default=1_000_000)
    options.add_argument("--roles", type=int, default=20)
    options.add_argument("--keys", type=int, default=200_000)
    chosen = options.parse_args()
    found = measure(Size(chosen.subjects, chosen.roles, chosen.keys))
    lines = [
        "| subjects | roles each | keys | restored after s | MiB then | events after s | MiB at most |",
        "|---|---|---|---|---|---|---|",
        f"| {found.subjects:,} | {found.roles} | {found.keys:,} | {found.restored_s:.0f}"
        f" | {found.restored_mib:,.0f} | {found.done_s:.0f} | {found.most_mib:,.0f} |",
    ]
    keep("restore", asdict(found), "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
