"""One, two and four workers and sinks over eight partitions of the same machine.

    python -m benchmarks.scale [--events 400000] [--members 1 2 4]

Each size has a stack of its own in which the events lie before the workers start; when they have committed
the last of them, the sinks start on what they wrote.  What limits the rate is the machine: read the CPU
column, which says what one more member costs, and not how fast it would be with cores of its own.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import psutil
from confluent_kafka import Consumer, TopicPartition

from benchmarks.exactly_once import fill
from benchmarks.measure import keep
from benchmarks.stack import pid_of, running_stack, start, stop
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ALL_TOPICS, EVENTS, WORKER_GROUP
from keytrail.sinks.clickhouse.http import ClickHouse, whole

PARTITIONS = 8
_POLL_S = 0.2
_TIMEOUT_S = 600.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Drained:
    """`engine` is the broker where workers drain, and ClickHouse where sinks do."""

    part: str
    members: int
    per_s: float
    cpu_s_per_100k: float
    engine_cpu_s_per_100k: float
    most_mib: float


def drain(
    settings: Settings, part: str, members: int, engine: str, done: Callable[[], int], count: int
) -> Drained:
    """From the first that is done to the last; `most_mib` is of the largest member."""
    with ExitStack() as started:
        processes = []
        for number in range(members):
            process = start(settings, part, "--instance", f"{part}-{number}")
            started.callback(stop, process)
            processes.append(psutil.Process(process.pid))
        serving = psutil.Process(pid_of(settings, engine))
        deadline, most = time.monotonic() + _TIMEOUT_S, 0

        def wait_for(wanted: int) -> tuple[int, float, float, float]:
            nonlocal most
            while (now := done()) < wanted:
                if time.monotonic() > deadline:
                    raise KeytrailError(f"{members} x {part}: {now} of {count} within {_TIMEOUT_S:.0f} s.")
                most = max(most, *(process.memory_info().rss for process in processes))
                time.sleep(_POLL_S)
            return now, time.monotonic(), sum(map(_cpu_s, processes)), _cpu_s(serving)

        first, began, own, engines = wait_for(1)
        last, ended, own_after, engines_after = wait_for(count)
    hundred_thousands = (last - first) / 1e5
    return Drained(
        part,
        members,
        (last - first) / (ended - began),
        (own_after - own) / hundred_thousands,
        (engines_after - engines) / hundred_thousands,
        most / _MIB,
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(members: int, count: int) -> tuple[Sequence[Drained], dict[str, float]]:
    with running_stack(partitions=PARTITIONS) as settings, ExitStack() as opened:
        fill(settings, count)
        consumer = Consumer(settings.kafka.client(group_id=WORKER_GROUP, enable_auto_commit=False))
        opened.callback(consumer.close)
        places = [TopicPartition(EVENTS.name, number) for number in range(PARTITIONS)]
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)

        def committed() -> int:
            return sum(max(0, found.offset) for found in consumer.committed(places, _TIMEOUT_S))

        def stored() -> int:
            return whole(clickhouse.rows("SELECT count() AS n FROM events")[0], "n")

        drained = [
            drain(settings, "worker", members, "kafka", committed, count),
            drain(settings, "sink", members, "clickhouse", stored, count),
        ]
        return drained, bytes_an_event(settings, count)


def bytes_an_event(settings: Settings, count: int) -> dict[str, float]:
    """What an event takes on disk: in each topic, one replica, and in its table."""
    found: dict[str, float] = {}
    for topic in ALL_TOPICS:
        logs = settings.data_dir.glob(f"kafka/**/{topic.name}-*/*.log")
        found[topic.name] = sum(log.stat().st_size for log in logs) / count
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    query = "SELECT sum(bytes_on_disk) AS n FROM system.parts WHERE active AND table = 'events'"
    found["table events"] = whole(clickhouse.rows(query)[0], "n") / count
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=400_000)
    options.add_argument("--members", type=int, nargs="+", default=[1, 2, 4])
    chosen = options.parse_args()
    measured = [measure(members, chosen.events) for members in chosen.members]
    found = [drained for several, _ in measured for drained in several]
    on_disk = measured[0][1]
    lines = [
        "| part | members | events/s | CPU s per 100,000 | broker's or ClickHouse's | MiB of the largest |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {d.part} | {d.members} | {d.per_s:,.0f} | {d.cpu_s_per_100k:.2f} | {d.engine_cpu_s_per_100k:.2f}"
        f" | {d.most_mib:,.0f} |"
        for d in sorted(found, key=lambda d: (d.part != "worker", d.members))
    ]
    lines += ["", "| on disk | bytes an event |", "|---|---|"]
    lines += [f"| {name} | {size:,.0f} |" for name, size in on_disk.items()]
    figures = {"drained": [asdict(d) for d in found], "bytes_an_event": on_disk}
    keep("scale", figures, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
