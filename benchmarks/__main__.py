"""Everything that `make bench` measures, one after the other; results under `build/bench`.

python -m benchmarks [stages] [pipeline] [rules] [w1] [sink] [latency] [sdk] [state] [restore] [scale]
    [exactly_once] [verify]

Not among them, for their length: `benchmarks.questions`, `benchmarks.soak`, `benchmarks.outage`,
`benchmarks.lifecycle` and `benchmarks.backtest`.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks import pipeline, stages
from benchmarks.measure import Result, keep

# In processes of their own, so that none inherits another's memory or warm caches.
_OTHERS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "rules": [("benchmarks.rules",)],
    "w1": [("benchmarks.w1",)],
    "sink": [("benchmarks.sink",)],
    "latency": [
        ("benchmarks.latency", "--rate", "5000", "--seconds", "300"),
        ("benchmarks.latency", "--rate", "20", "--seconds", "60"),
    ],
    "sdk": [("benchmarks.sdk",)],
    "state": [("benchmarks.state",)],
    "restore": [("benchmarks.restore",)],
    "scale": [("benchmarks.scale",)],
    "exactly_once": [("benchmarks.exactly_once",)],
    "verify": [("benchmarks.verify",)],
}


def main() -> None:
    chosen = set(sys.argv[1:]) or {"stages", "pipeline", *_OTHERS}
    results: list[Result] = []
    if "stages" in chosen:
        results += stages.run()
    if "pipeline" in chosen:
        results.append(pipeline.run())
    if results:
        keep("results", {"results": [asdict(result) for result in results]}, _table(results))
    for name, commands in _OTHERS.items():
        for command in commands if name in chosen else ():
            subprocess.run([sys.executable, "-m", *command], check=True)


def _table(results: list[Result]) -> str:
    lines = ["| stage | events/s | CPU s per 100,000 | spread |", "|---|---|---|---|"]
    for result in results:
        cpu = f"{result.cpu_s_per_100k:.2f}" if result.cpu_s_per_100k else ""
        spread = f"{result.spread:.0%}" if result.spread else ""
        lines.append(f"| {result.stage} | {result.events_per_s:,.0f} | {cpu} | {spread} |")
    return "\n".join(lines) + "\n"


main()
