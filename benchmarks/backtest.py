"""How fast `keytrail backtest` judges: two policies side by side over a simulated company's events in Kafka.

    python -m benchmarks.backtest [--events 300000] [--runs 3] [--history sparse|dense]

Two histories: of half a year, in which nearly each event is the first of its subject's, its key's or its
service's day, and of some minutes of a company so large that it has 1,000 events a second, beginning with the
inventory of its access.
Beside two policies one alone, in one process.  The stack is there, with no worker and no sink.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice

import psutil

from benchmarks.measure import keep
from benchmarks.stack import pid_of, running_stack
from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Event
from keytrail.schemas.settings import Settings
from keytrail.stream.backtest.history import History
from keytrail.stream.backtest.side_by_side import Past, judge, judge_both
from keytrail.stream.policies.policy import Policy, SprawlLimits

REAL_TIME = 1_000  # events a second
GOAL = 20  # times real time
# So many in half a year are 1,000 a second from Monday morning at eight, when a simulation that starts in
# summer has done its inventory.
_LARGE, _SUMMER = 10_000_000_000, date(2025, 7, 7)
_SEED = 7


@dataclass(frozen=True)
class Run:
    """CPU seconds for 100,000 events: of this process, of the one beside it, and of the broker."""

    events_per_s: float
    this: float
    other: float
    broker: float


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=300_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--history", choices=("sparse", "dense"), action="append")
    chosen = options.parse_args()
    lines = [
        "| history | policies | events/s | times real time | CPU s per 100,000: this, other, broker |",
        "|---|---|---|---|---|",
    ]
    figures: dict[str, list[dict[str, float]]] = {}
    for name in chosen.history or ("sparse", "dense"):
        for policies, runs in measure(name, chosen.events, chosen.runs).items():
            figures[f"{name}, {policies}"] = [asdict(run) for run in runs]
            rate, this, other, broker = (
                statistics.median(getattr(run, field) for run in runs) for field in asdict(runs[0])
            )
            lines.append(
                f"| {name} | {policies} | {rate:,.0f} | {rate / REAL_TIME:.1f} "
                f"| {this:.2f}, {other:.2f}, {broker:.2f} |"
            )
    keep("backtest", {"goal": GOAL, "runs": figures}, "\n".join(lines) + "\n")


def measure(name: str, events: int, runs: int) -> dict[str, list[Run]]:
    policies = Policy(), Policy(sprawl=SprawlLimits(least_roles=5))
    found: dict[str, list[Run]] = {}
    with running_stack() as settings:
        publish(settings, name, events)
        history = History(settings.kafka)
        past = Past(history.partitions(), history.spans(None, None), history.keys())
        works: dict[str, Callable[[], object]] = {
            "one": lambda: judge(settings, policies[0], past, system_clock, _hear),
            "two": lambda: judge_both(settings, policies, past, system_clock, _hear),
        }
        broker = psutil.Process(pid_of(settings, "kafka"))
        for _ in range(runs):
            for policies_judged, work in works.items():
                found.setdefault(policies_judged, []).append(_run(work, events, broker))
    return found


def _run(work: Callable[[], object], events: int, broker: psutil.Process) -> Run:
    began, before, broker_before = time.monotonic(), os.times(), broker.cpu_times()
    work()
    seconds, after, broker_after = time.monotonic() - began, os.times(), broker.cpu_times()
    spent = (
        after.user + after.system - before.user - before.system,
        after.children_user + after.children_system - before.children_user - before.children_system,
        broker_after.user + broker_after.system - broker_before.user - broker_before.system,
    )
    return Run(events / seconds, *(cpu / events * 1e5 for cpu in spent))


def publish(settings: Settings, name: str, events: int) -> None:
    simulation = Simulation(events, _SEED) if name == "sparse" else Simulation(_LARGE, _SEED, _SUMMER)
    keys = KeyPublisher(settings)
    keys.publish_all(list(simulation.keys()))
    keys.close(60)
    publisher = EventPublisher(settings)
    publisher.publish_all(_some(simulation, events))
    publisher.close(60)


def _some(simulation: Simulation, events: int) -> Iterator[Event]:
    return islice(simulation.events(), events)


def _hear(_records: int) -> None:
    pass


if __name__ == "__main__":
    main()
