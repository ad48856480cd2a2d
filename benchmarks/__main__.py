"""Runs the benchmarks, prints a table, and keeps the numbers with the machine's facts."""

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks import pipeline, stages
from benchmarks.measure import Result, machine

FOLDER = Path("build/bench")


def main() -> None:
    results = [*stages.run(), pipeline.run()]
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine(), "results": [asdict(result) for result in results]}
    (FOLDER / "results.json").write_text(json.dumps(kept, indent=1) + "\n")
    table = _table(results)
    (FOLDER / "results.md").write_text(table)
    print(table)


def _table(results: list[Result]) -> str:
    lines = ["| stage | events/s | CPU s per 100,000 | spread |", "|---|---|---|---|"]
    for result in results:
        cpu = f"{result.cpu_s_per_100k:.2f}" if result.cpu_s_per_100k else ""
        spread = f"{result.spread:.0%}" if result.spread else ""
        lines.append(f"| {result.stage} | {result.events_per_s:,.0f} | {cpu} | {spread} |")
    return "\n".join(lines) + "\n"


main()
