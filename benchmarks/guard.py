"""Says which stage has slowed down: `make bench-check`.

Machines differ, and each is busy at times, so a stage's CPU time is divided by that of two fixed loops which
keytrail's code does not touch, measured in the same run; that ratio is compared with the one in
`baseline.json`.  A stage that seems slower is measured once more before it is said to be.
`python -m benchmarks.guard --keep` writes a new baseline.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fastavro

from benchmarks import stages
from benchmarks.measure import Result, measure
from benchmarks.w1 import workload

BASELINE = Path(__file__).parent / "baseline.json"
SLOWER = 1.3
_EVENTS = 10_000


def fixed_loops() -> Iterator[Result]:
    """A library in C that makes Python objects, and Python alone."""
    schema = fastavro.parse_schema(workload.EVENT)
    datums = [value[len(workload.HEADER) :] for _, value in workload.events(_EVENTS)]
    yield measure("fastavro decode", _EVENTS, lambda: lambda: _decode(datums, schema))
    yield measure("python loop", _EVENTS, lambda: lambda: _count(datums))


def _decode(datums: list[bytes], schema: object) -> None:
    for datum in datums:
        fastavro.schemaless_reader(io.BytesIO(datum), schema, None)  # type: ignore[arg-type]


def _count(datums: list[bytes]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for datum in datums:
        for name in datum[60:120].decode("latin-1").split("-"):
            counts[name] = counts.get(name, 0) + len(name)
    return counts


def ratios() -> dict[str, float]:
    """Each stage's CPU time an event, in units of the fixed loops'."""
    before = list(fixed_loops())
    found = list(stages.run())
    every = [*before, *fixed_loops()]
    unit = sum(result.cpu_s_per_100k for result in every) / 2
    return {result.stage: result.cpu_s_per_100k / unit for result in found}


def slower(now: dict[str, float], kept: dict[str, float]) -> dict[str, float]:
    """How many times as long each stage takes that takes clearly longer than the baseline says."""
    times = {stage: now[stage] / kept[stage] for stage in now.keys() & kept.keys()}
    return {stage: factor for stage, factor in times.items() if factor > SLOWER}


def check(measured: Callable[[], dict[str, float]], kept: dict[str, float]) -> dict[str, float]:
    """The stages that were slower both times they were measured."""
    first = slower(measured(), kept)
    if not first:
        return {}
    second = slower(measured(), kept)
    return {stage: min(first[stage], second[stage]) for stage in first.keys() & second.keys()}


def main() -> int:
    if "--keep" in sys.argv:
        BASELINE.write_text(json.dumps({k: round(v, 4) for k, v in ratios().items()}, indent=1) + "\n")
        print(f"{BASELINE} written")
        return 0
    kept: dict[str, float] = json.loads(BASELINE.read_text())
    found = check(ratios, kept)
    for stage, factor in sorted(found.items()):
        print(f"slower: {stage} takes {factor:.2f} times as long as the baseline says")
    if not found:
        print(f"no stage takes {SLOWER} times as long as the baseline says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
