"""How large a fleet is for a given rate, computed from what was measured on one machine.

    python -m benchmarks.sizing [--rate 1000000] [--workers 50] [--subjects 20000000]

A model, not a measurement: unit costs times load, with room left.  docs/sizing.md has the assumptions, and
what of it keytrail cannot do yet.
"""

import argparse
import math
from dataclasses import dataclass

_YEAR_S = 365 * 24 * 3600
_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Costs:
    """Unit costs, as `benchmarks.scale`, `state`, `sink` and `lifecycle` gave them (docs/performance.md).

    CPU is in seconds for 100,000 events on a core of that machine; sizes are bytes an event, on disk.
    """

    worker_cpu: float = 15.0
    broker_cpu: float = 2.4
    transaction_cpu: float = 0.005
    sink_cpu: float = 0.8
    clickhouse_cpu: float = 5.7
    kafka_bytes: float = 534.0
    table_bytes: float = 85.0
    state_bytes: float = 825.0
    restored_per_s: float = 300_000.0
    takeover_s: float = 8.6


@dataclass(frozen=True)
class Demand:
    """What is asked for.  `busy` is the share of a core that may be used at that rate."""

    rate: float = 1_000_000
    workers: int = 50
    subjects: int = 20_000_000
    partitions_a_worker: int = 4
    commits_a_second: float = 10.0
    replicas: int = 3
    kafka_days: int = 7
    busy: float = 0.6
    broker_cores: int = 16
    clickhouse_cores: int = 32
    clickhouse_copies: int = 2


@dataclass(frozen=True)
class Fleet:
    partitions: int
    load_a_worker: float
    workers_with_room: int
    state_mib_a_worker: float
    takeover_s: float
    broker_cores: float
    brokers: int
    kafka_tib: float
    sink_cores: float
    clickhouse_cores: float
    shards: int
    table_tib_a_year: float


def fleet(demand: Demand, costs: Costs) -> Fleet:
    """A worker is one process of Python, and so has one core's time.  Followers of a partition write what its
    leader writes: half the leader's CPU is counted for each."""
    hundreds_of_thousands = demand.rate / 1e5
    partitions = demand.workers * demand.partitions_a_worker
    # Both stages of each partition commit.
    transactions = 2 * partitions * demand.commits_a_second
    leaders = hundreds_of_thousands * costs.broker_cpu + transactions * costs.transaction_cpu
    broker_cores = leaders * (1 + (demand.replicas - 1) / 2) / demand.busy
    clickhouse_cores = hundreds_of_thousands * costs.clickhouse_cpu / demand.busy
    subjects = demand.subjects / demand.workers
    stored_a_year = demand.rate * _YEAR_S * costs.table_bytes * demand.clickhouse_copies
    kept = demand.rate * demand.kafka_days * _DAY_S * costs.kafka_bytes * demand.replicas
    return Fleet(
        partitions=partitions,
        load_a_worker=hundreds_of_thousands * costs.worker_cpu / demand.workers,
        workers_with_room=math.ceil(hundreds_of_thousands * costs.worker_cpu / demand.busy),
        state_mib_a_worker=subjects * costs.state_bytes / 2**20,
        # A changelog holds up to twice its state before it is compacted.
        takeover_s=costs.takeover_s + 2 * subjects / costs.restored_per_s,
        broker_cores=broker_cores,
        brokers=max(demand.replicas, math.ceil(broker_cores / demand.broker_cores)),
        kafka_tib=kept / 2**40,
        sink_cores=hundreds_of_thousands * costs.sink_cpu / demand.busy,
        clickhouse_cores=clickhouse_cores,
        shards=math.ceil(clickhouse_cores / demand.clickhouse_cores),
        table_tib_a_year=stored_a_year / 2**40,
    )


def table(found: Fleet) -> str:
    rows = (
        ("partitions of the events topic", f"{found.partitions:,}"),
        ("load of a worker, in cores; a process has one", f"{found.load_a_worker:.2f}"),
        ("workers that leave room", f"{found.workers_with_room:,}"),
        ("state a worker", f"{found.state_mib_a_worker:,.0f} MiB"),
        ("pause when a worker dies", f"{found.takeover_s:.0f} s"),
        ("broker cores", f"{found.broker_cores:,.0f}"),
        ("brokers", f"{found.brokers:,}"),
        ("disk of all brokers", f"{found.kafka_tib:,.0f} TiB"),
        ("sink cores", f"{found.sink_cores:,.0f}"),
        ("ClickHouse cores", f"{found.clickhouse_cores:,.0f}"),
        ("ClickHouse shards", f"{found.shards:,}"),
        ("ClickHouse disk a year, all copies", f"{found.table_tib_a_year:,.0f} TiB"),
    )
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=float, default=Demand.rate)
    options.add_argument("--workers", type=int, default=Demand.workers)
    options.add_argument("--subjects", type=int, default=Demand.subjects)
    chosen = options.parse_args()
    print(table(fleet(Demand(chosen.rate, chosen.workers, chosen.subjects), Costs())))


if __name__ == "__main__":
    main()
