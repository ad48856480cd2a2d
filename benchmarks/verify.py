"""What proof costs: signing, verifying in ClickHouse alone and in Kafka alone, and what it adds on disk.

    python -m benchmarks.verify [--events 1000000]

Enriched events of a simulated company go through a sink; then a notary signs all of them, and an audit
verifies them.  By CPU second means of everybody who takes part: this process, ClickHouse and the broker.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import psutil

from benchmarks.measure import keep
from benchmarks.sink import enriched, fill, rows_of
from benchmarks.stack import pid_of, running_stack
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.audit import Audit
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.notary import Notary

_WAIT_S = 0.5
_DEADLINE_S = 900.0
_SIZES = (
    "SELECT table, sum(data_compressed_bytes) AS n FROM system.parts"
    " WHERE active AND database = currentDatabase() AND table IN ('events', 'checkpoint_tiles')"
    " GROUP BY table"
)


@dataclass(frozen=True)
class Rate:
    """Events a second by the clock, and by CPU second."""

    what: str
    per_s: float
    per_cpu_s: float


def measure(count: int) -> tuple[list[Rate], dict[str, float]]:
    """Rates, and bytes an event of each table."""
    with running_stack(sinks=1) as settings:
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        KeyringFile(settings.checkpoint_keys).rotate(time.time_ns() // 1000)
        fill(settings, enriched(settings), count)
        until(lambda: rows_of(clickhouse, "events") == count, "the rows")
        clickhouse.run("OPTIMIZE TABLE events FINAL", timeout_s=_DEADLINE_S)
        rates = [timed(settings, "sign", count, lambda: sign(settings, count))]
        for what, with_clickhouse, with_kafka in (
            ("verify, ClickHouse alone", True, False),
            ("verify, Kafka alone", False, True),
        ):
            work = audit(settings, count, clickhouse=with_clickhouse, kafka=with_kafka)
            rates.append(timed(settings, what, count, work))
        clickhouse.run("OPTIMIZE TABLE checkpoint_tiles FINAL", timeout_s=_DEADLINE_S)
        sizes = {str(row["table"]): int(str(row["n"])) / count for row in clickhouse.rows(_SIZES)}
        return rates, sizes


def sign(settings: Settings, count: int) -> None:
    notary = Notary(settings, lambda: time.time_ns() // 1000)
    try:
        until(lambda: signed(notary) >= count, "the checkpoints")
    finally:
        notary.close()


def signed(notary: Notary) -> int:
    """How many records the checkpoints cover by now."""
    notary.round()
    return notary.size


def audit(settings: Settings, count: int, *, clickhouse: bool, kafka: bool) -> Callable[[], None]:
    def work() -> None:
        trust = KeyringFile(settings.checkpoint_keys).current().trust
        with Audit(settings, trust, clickhouse=clickhouse, kafka=kafka) as asked:
            evidence = asked.evidence([])
            verdicts = [*asked.rows(evidence, None), *asked.records(evidence, None)]
        if sum(verdict.proved for verdict in verdicts) != count or not all(v.good for v in verdicts):
            raise KeytrailError("Not all that was stored is proved.")

    return work


def timed(settings: Settings, what: str, count: int, work: Callable[[], None]) -> Rate:
    parts = [psutil.Process(), *(psutil.Process(pid_of(settings, name)) for name in ("clickhouse", "kafka"))]
    wall, cpu = time.monotonic(), seconds(parts)
    work()
    wall, cpu = time.monotonic() - wall, seconds(parts) - cpu
    return Rate(what, count / wall, count / cpu)


def seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def until(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not there():
        if time.monotonic() > deadline:
            raise KeytrailError(f"Within {_DEADLINE_S:.0f} s there were not {what}.")
        time.sleep(_WAIT_S)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=1_000_000)
    count = options.parse_args().events
    rates, sizes = measure(count)
    lines = [f"| of {count:,} events | events/s | events by CPU second |", "|---|---|---|"]
    lines += [f"| {rate.what} | {rate.per_s:,.0f} | {rate.per_cpu_s:,.0f} |" for rate in rates]
    lines += ["", "| table | bytes an event |", "|---|---|"]
    lines += [f"| {table} | {size:.1f} |" for table, size in sorted(sizes.items())]
    figures = {"events": count, "rates": [asdict(rate) for rate in rates], "bytes": sizes}
    keep("verify", figures, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
