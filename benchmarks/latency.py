"""How long it takes from an SDK call to the finding that a subscriber reads, and to the row that SQL finds.

    python -m benchmarks.latency [--rate 5000] [--seconds 300]

Open loop: each call has its time in advance, and what is measured is measured from that time, so that a stall
counts for every event that it held up.  One event in a hundred names a key of its own that nobody registered,
which is a finding; at low rates every other one does.
"""

import argparse
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import keep
from benchmarks.stack import running_stack, subscriber
from keytrail.producers.trail import AuditTrail
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.clickhouse.http import ClickHouse, whole

_PROBE = "latency-probe-"
_POLL_S = 0.2  # an answer costs ClickHouse 7 ms of CPU: twenty a second would take a tenth of a core
_SETTLE_S = 20.0
_WARM_S = 5.0


@dataclass
class Arrivals:
    """When each probe was seen, by its number."""

    seen: dict[int, float] = field(default_factory=dict)

    def note(self, entity: str, at: float) -> None:
        if entity.startswith(_PROBE):
            self.seen.setdefault(int(entity.removeprefix(_PROBE)), at)


class Findings(threading.Thread):
    """Reads the anomaly topic as a subscriber does."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.arrivals = Arrivals()
        self._consumer = subscriber(settings, ANOMALIES)

    def run(self) -> None:
        while True:
            message = self._consumer.poll(1.0)
            if message is not None and message.error() is None and (key := message.key()):
                self.arrivals.note(key.decode(), time.perf_counter())


class Rows(threading.Thread):
    """Asks ClickHouse again and again how far each partition is stored; rows of one come in their order.

    The answer lies in a projection, so that the asking costs little.  A row is seen up to `_POLL_S` late.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        self._reached: dict[int, list[tuple[int, float]]] = {}

    def run(self) -> None:
        while True:
            rows = self._clickhouse.rows(
                "SELECT kafka_partition, max(kafka_offset) AS reached FROM events"
                " GROUP BY kafka_incarnation, kafka_partition"
            )
            now = time.perf_counter()
            for row in rows:
                steps = self._reached.setdefault(whole(row, "kafka_partition"), [])
                if not steps or steps[-1][0] < whole(row, "reached"):
                    steps.append((whole(row, "reached"), now))
            time.sleep(_POLL_S)

    def stored(self) -> int:
        """How many rows are there."""
        return whole(self._clickhouse.rows("SELECT count() AS n FROM events")[0], "n")

    def arrivals(self) -> Arrivals:
        """When each probe's row was there."""
        rows = self._clickhouse.rows(
            "SELECT key_id, kafka_partition, kafka_offset FROM events"
            " WHERE startsWith(key_id, {probe:String})",
            params={"probe": _PROBE},
        )
        found = Arrivals()
        for row in rows:
            steps = self._reached[whole(row, "kafka_partition")]
            at = bisect_left(steps, whole(row, "kafka_offset"), key=lambda step: step[0])
            if at < len(steps):
                found.note(str(row["key_id"]), steps[at][1])
        return found


def load(settings: Settings, rate: float, seconds: float) -> dict[int, float]:
    """Calls the SDK at its times; gives when each probe was due."""
    every = 100 if rate >= 1000 else 2
    due: dict[int, float] = {}
    with AuditTrail("latency", settings=settings) as trail:
        began = time.perf_counter() + 0.1
        for number in range(int(rate * seconds)):
            at = began + number / rate
            if (wait := at - time.perf_counter()) > 0.0005:
                time.sleep(wait)
            if number % every == 0:
                due[number] = at
                trail.use("reader", key=f"{_PROBE}{number}", actor=f"prober-{number % 50}")
            else:
                trail.login(key=None, actor=f"user-{number % 5000}")
        trail.close(60)
        if trail.lost:
            raise RuntimeError(f"the SDK lost {trail.lost} events")
    return due


def percentiles(due: Mapping[int, float], seen: Mapping[int, float], warm: float) -> dict[str, float]:
    """In milliseconds, of the probes due after the first `warm` seconds."""
    first = min(due.values()) + warm
    waits = sorted(seen[number] - at for number, at in due.items() if number in seen and at >= first)
    missing = sum(number not in seen for number in due)
    found = {f"p{p}": _at(waits, p / 100) * 1000 for p in (50, 95, 99)}
    return {**found, "max": waits[-1] * 1000, "probes": len(waits), "missing": missing}


def _at(waits: Sequence[float], share: float) -> float:
    return waits[min(len(waits) - 1, math.ceil(share * len(waits)) - 1)]


def measure(rate: float, seconds: float) -> dict[str, dict[str, float]]:
    with running_stack(workers=1, sinks=1) as settings:
        findings, rows = Findings(settings), Rows(settings)
        findings.start()
        rows.start()
        due = load(settings, rate, seconds)
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline and rows.stored() < int(rate * seconds):
            time.sleep(_POLL_S)
        return {
            "finding": percentiles(due, findings.arrivals.seen, _WARM_S),
            "row": percentiles(due, rows.arrivals().seen, _WARM_S),
        }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=float, default=5000)
    options.add_argument("--seconds", type=float, default=60)
    chosen = options.parse_args()
    found = measure(chosen.rate, chosen.seconds)
    for what, times in found.items():
        said = ", ".join(f"{name} {value:,.0f}" for name, value in times.items())
        print(f"{chosen.rate:,.0f} events/s for {chosen.seconds:.0f} s, call to {what} [ms]: {said}")
    figures: dict[str, object] = {"rate": chosen.rate, "seconds": chosen.seconds, "milliseconds": found}
    keep(f"latency-{chosen.rate:.0f}", figures)


if __name__ == "__main__":
    main()
