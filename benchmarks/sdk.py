"""What a service pays for recording: the time of one call, and how many events a process can keep up with.

    python -m benchmarks.sdk

A call's cost is measured at 2,000 calls a second, as a busy service makes them, with Kafka there and with
Kafka away.  The sustained rate is that of one trail, from the first call until Kafka has every event, with
the calls made by one thread and by four.
"""

import math
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.measure import keep
from benchmarks.stack import running_stack
from keytrail.producers.trail import AuditTrail
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import HttpSettings, Settings

_CALLS = 20_000
_PACE_S = 1 / 2_000
_SUSTAINED = 300_000
_ROUNDS = 3
_FLUSH_S = 120.0
_NOBODY = "127.0.0.1:9"


def away(settings: Settings) -> Settings:
    """The same with nobody at Kafka's address and the registry's."""
    return replace(
        settings,
        kafka=replace(settings.kafka, bootstrap=_NOBODY),
        registry=HttpSettings(f"http://{_NOBODY}"),
    )


def record(trail: AuditTrail, number: int) -> None:
    trail.grant(
        f"user-{number % 5000}",
        f"role-{number % 40}",
        key=f"key-{number % 2000}",
        actor="bench",
        reason="joined the team",
        ticket="OPS-42",
    )


def call_micros(settings: Settings, capacity: int = 2 * _CALLS) -> list[float]:
    """How long each of the calls took, in microseconds, in order of length."""
    took: list[float] = []
    trail = AuditTrail("bench", settings=settings, capacity=capacity)
    due = time.perf_counter()
    for number in range(_CALLS):
        due += _PACE_S
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        began = time.perf_counter_ns()
        record(trail, number)
        took.append((time.perf_counter_ns() - began) / 1000)
    trail.close(0.0 if settings.kafka.bootstrap == _NOBODY else _FLUSH_S)
    return sorted(took)


def sustained(settings: Settings, threads: int) -> float:
    """Events a second, until Kafka has them all."""
    trail = AuditTrail("bench", settings=settings, capacity=_SUSTAINED)
    each = _SUSTAINED // threads

    def calls() -> None:
        for number in range(each):
            record(trail, number)

    workers = [threading.Thread(target=calls) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    trail.close(_FLUSH_S)
    took = time.perf_counter() - began
    if trail.lost:
        raise KeytrailError(f"{trail.lost} events of {_SUSTAINED:,} were lost.")
    return each * threads / took


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def main() -> None:
    with running_stack() as settings:
        calls = {"Kafka there": call_micros(settings), "Kafka away": call_micros(away(settings))}
        rates = {
            threads: statistics.median(sustained(settings, threads) for _ in range(_ROUNDS))
            for threads in (1, 4)
        }
    lines = ["| one call, microseconds | p50 | p99 | p99.9 | longest |", "|---|---|---|---|---|"]
    figures: dict[str, dict[str, float]] = {}
    for name, took in calls.items():
        figures[name] = {f"p{100 * share:g}": percentile(took, share) for share in (0.5, 0.99, 0.999, 1.0)}
        lines.append(f"| {name} | {' | '.join(f'{value:,.0f}' for value in figures[name].values())} |")
    lines += ["", "| threads that share a trail | events/s, until Kafka has them |", "|---|---|"]
    lines += [f"| {threads} | {rate:,.0f} |" for threads, rate in rates.items()]
    keep("sdk", {"call_us": figures, "sustained_per_s": rates}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
