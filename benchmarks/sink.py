"""The sink against ClickHouse itself: enriched events from the topic into the table, the same rows by hand.

    python -m benchmarks.sink [--events 1000000] [--rounds 3]

The bound: Avro blocks as large as the sink's were, ready in memory, into a table of the same form by plain
INSERTs, four at a time as the sink does; nobody reads a topic, claims a partition or guards a row.
Each round has a stack of its own, and times both there, the bound last: first with all cores for everybody,
then with one core for ClickHouse alone and another for the broker, the sink and who inserts by hand.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.measure import keep
from benchmarks.scale import drain
from benchmarks.stack import pid_of, running_stack
from keytrail.producers.datum import flat_encoder
from keytrail.producers.simulation import Simulation
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, ENRICHED, EVENTS
from keytrail.sinks.clickhouse.container import LINEAGE, Writer, writer
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.source import Record
from keytrail.stream.stages.event_stage import EventStage
from keytrail.stream.worker.at_hand import Slot

_DISTINCT = 100_000
_BATCH = 5_000
_AT_ONCE = 4
_BEGIN = 1_759_400_000_000_000
_APART = 10_000_000
_FUTURE = 4_000_000_000_000_000
_NIL = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Rates:
    """Rows a second by the sink and by ClickHouse alone; rows a block; the sink's CPU seconds and memory."""

    sink: float
    bound: float
    block: float
    sink_cpu_s_per_100k: float
    sink_mib: float


def enriched(settings: Settings) -> list[bytes]:
    """Values as the worker writes them, of one month and in order of time, as those of a live stream are."""
    registry = Registry(settings.registry)
    frame = wire.frame(registry.register(EVENTS, avro.schema_text("event")))
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    simulation, directory = Simulation(_DISTINCT, seed=11), KeyDirectory()
    events = [
        Record(offset, frame + encode(replace(event, occurred_at=_BEGIN + offset * _APART)))
        for offset, event in enumerate(simulation.events())
    ]
    for key in list(simulation.keys()):
        directory.apply(key)
    reader = EventReader(registry, lambda: _FUTURE, Slot())
    stage = EventStage(0, reader, directory, Timeline(Policy()), lambda: _FUTURE, Slot())
    batches = (events[start : start + _BATCH] for start in range(0, len(events), _BATCH))
    return [value for batch in batches for _, value in stage.process(stage.read(batch)).enriched]


def fill(settings: Settings, values: Sequence[bytes], count: int) -> None:
    """The topic, with the values again and again until there are `count` of them."""
    producer = Producer(settings.kafka.client(enable_idempotence=True, compression_type="lz4", linger_ms=20))
    for number, chunk in enumerate(_chunks(values, count, _BATCH)):
        messages = [{"value": value} for value in chunk]
        while producer.produce_batch(ENRICHED.name, messages, number % DEFAULT_PARTITIONS) != len(messages):
            raise KeytrailError("The producer's queue is full.")
        producer.flush(60)


def by_hand(
    settings: Settings, clickhouse: ClickHouse, values: Sequence[bytes], count: int, size: int
) -> float:
    """Rows a second that ClickHouse takes, `size` at a time, when nothing else is done."""
    clickhouse.run("CREATE TABLE bound AS events")
    schema_id = wire.schema_id_of(values[0])
    if schema_id is None:
        raise KeytrailError("An enriched event has no wire header.")
    written = writer(Registry(settings.registry).text_of(schema_id))
    blocks = list(_blocks(written, values, count, size))
    insert = f"INSERT INTO bound ({', '.join((*written.columns, *LINEAGE))}) FORMAT Avro"
    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda data: clickhouse.run(insert, data=data), blocks))
    took = time.monotonic() - began
    if (rows := rows_of(clickhouse, "bound")) != count:
        raise KeytrailError(f"{rows} of {count} rows were inserted.")
    return count / took


def _blocks(written: Writer, values: Sequence[bytes], count: int, size: int) -> Iterator[Sequence[bytes]]:
    offset = 0
    for chunk in _chunks(values, count, size):
        offsets = range(offset, offset + len(chunk))
        datums = [value[wire.HEADER_LENGTH :] for value in chunk]
        yield written.wrap(offsets, datums, partition=0, block=offset, incarnation=_NIL)
        offset += len(chunk)


def _chunks(values: Sequence[bytes], count: int, size: int) -> Iterator[list[bytes]]:
    """The values again and again until there are `count`, so many at a time."""
    endless = islice(cycle(values), count)
    while chunk := list(islice(endless, size)):
        yield chunk


def rows_of(clickhouse: ClickHouse, table: str) -> int:
    query = "SELECT count() AS n FROM {table:Identifier}"
    return int(str(clickhouse.rows(query, params={"table": table})[0]["n"]))


def rows_a_block(clickhouse: ClickHouse) -> int:
    """The mean of the sink's inserts."""
    query = "SELECT round(count() / uniqExact(kafka_partition, kafka_block)) AS n FROM events"
    return int(float(str(clickhouse.rows(query)[0]["n"])))


def measure(count: int, *, apart: bool) -> Rates:
    """`apart`: ClickHouse has a core of its own."""
    own = os.sched_getaffinity(0)
    with running_stack() as settings:
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        values = enriched(settings)
        fill(settings, values, count)
        try:
            if apart:
                for name, core in (("clickhouse", 0), ("kafka", 1)):
                    pin(pid_of(settings, name), core)
                pin(os.getpid(), 1)
            sink = drain(settings, "sink", 1, "clickhouse", lambda: rows_of(clickhouse, "events"), count)
            size = rows_a_block(clickhouse)
            bound = by_hand(settings, clickhouse, values, count, size)
            return Rates(sink.per_s, bound, size, sink.cpu_s_per_100k, sink.most_mib)
        finally:
            os.sched_setaffinity(0, own)


def pin(pid: int, core: int) -> None:
    """All threads of the process, and those that come, run on this core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    lines = [
        "| cores | sink, rows/s | ClickHouse alone | share | rows a block | sink's CPU s per 100,000 | MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    kept: dict[str, object] = {}
    for name, apart in (("all for everybody", False), ("ClickHouse on its own", True)):
        rounds = [measure(chosen.events, apart=apart) for _ in range(chosen.rounds)]
        middle = Rates(*(statistics.median(column) for column in zip(*map(astuple, rounds), strict=True)))
        share = statistics.median(r.sink / r.bound for r in rounds)
        kept[name] = {"rounds": [asdict(r) for r in rounds], "share": share}
        lines.append(
            f"| {name} | {middle.sink:,.0f} | {middle.bound:,.0f} | {share:.0%} | {middle.block:,.0f}"
            f" | {middle.sink_cpu_s_per_100k:.2f} | {middle.sink_mib:.0f} |"
        )
    keep("sink", kept, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
