"""How fast `keytrail backtest` judges: two policies side by side over a simulated company's events in Kafka.

    python -m benchmarks.backtest [--events 200000] [--runs 3]

Beside it one policy alone, in one process.  The stack is there, with no worker and no sink.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from benchmarks.measure import keep
from benchmarks.stack import running_stack
from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import Settings
from keytrail.stream.backtest.history import History
from keytrail.stream.backtest.side_by_side import Past, judge, judge_both
from keytrail.stream.policies.policy import Policy, SprawlLimits

REAL_TIME = 1_000  # events a second
GOAL = 20  # times real time


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--runs", type=int, default=3)
    chosen = options.parse_args()
    policies = Policy(), Policy(sprawl=SprawlLimits(least_roles=5))
    lines = ["| policies | events/s | times real time |", "|---|---|---|"]
    figures: dict[str, list[float]] = {}
    with running_stack() as settings:
        publish(settings, chosen.events)
        history = History(settings.kafka)
        past = Past(history.partitions(), history.spans(None, None), history.keys())
        works: dict[str, Callable[[], object]] = {
            "one": lambda: judge(settings, policies[0], past, system_clock, _hear),
            "two": lambda: judge_both(settings, policies, past, system_clock, _hear),
        }
        for _ in range(chosen.runs):
            for name, work in works.items():
                began = time.monotonic()
                work()
                figures.setdefault(name, []).append(chosen.events / (time.monotonic() - began))
    for name, rates in figures.items():
        rate = statistics.median(rates)
        lines.append(f"| {name} | {rate:,.0f} | {rate / REAL_TIME:.1f} |")
    keep("backtest", {"goal": GOAL, "events_per_s": figures}, "\n".join(lines) + "\n")


def publish(settings: Settings, events: int) -> None:
    simulation = Simulation(events, seed=7)
    keys = KeyPublisher(settings)
    keys.publish_all(list(simulation.keys()))
    keys.close(60)
    publisher = EventPublisher(settings)
    publisher.publish_all(simulation.events())
    publisher.close(60)


def _hear(_records: int) -> None:
    pass


if __name__ == "__main__":
    main()
