"""Timing one piece of work: events a second and CPU seconds, as the median of several runs."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("build/bench")


@dataclass(frozen=True)
class Result:
    """`spread` is (slowest - fastest) / median: how far to believe the number."""

    stage: str
    events: int
    events_per_s: float
    cpu_s_per_100k: float
    spread: float


def measure(stage: str, events: int, prepare: Callable[[], Callable[[], object]], runs: int = 3) -> Result:
    """`prepare` makes a fresh piece of work for each run; making it is not timed."""
    rates, cpus = [], []
    for _ in range(runs):
        work = prepare()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rates.append(events / wall)
        cpus.append(cpu / events * 1e5)
    middle = statistics.median(rates)
    return Result(stage, events, middle, statistics.median(cpus), (max(rates) - min(rates)) / middle)


def keep(name: str, figures: Mapping[str, object], table: str = "") -> None:
    """Print the table and keep it, and the figures with the machine's facts, under `build/bench`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine(), **figures}
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    if table:
        (FOLDER / f"{name}.md").write_text(table)
        print(table)


def machine() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": str(os.cpu_count()),
        "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
