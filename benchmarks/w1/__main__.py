"""Runs W1 on every engine that is there, in turns, and prints a table with ratios.

    python -m benchmarks.w1 [--rounds N] [--events N] [--only NAME]

The peers run in a virtual environment of their own (`make bench` builds it from `peers.lock`), Kafka Streams
where Maven and a JDK are there.  Each run writes to topics of its own.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import keep
from benchmarks.stack import running_stack
from benchmarks.w1 import workload
from keytrail.schemas.settings import Settings

PEERS_PYTHON = Path("build/peers/bin/python")
_STREAMS = Path(__file__).parent / "peers/kafka_streams"
_COMPACTED = {"cleanup.policy": "compact"}
_TIMEOUT_S = 900
_REPORT = '{"engine"'
KEYTRAIL, LOOP, QUIX, FAUST = "keytrail", "loop", "quix", "faust"
STREAMS_ONCE, STREAMS_AT_LEAST = "streams-exactly-once", "streams-at-least-once"
SHORT, LONG, SLOW = 300_000, 1_200_000, 60_000


@dataclass(frozen=True)
class Run:
    """One engine's words about one run."""

    name: str
    engine: str
    events: int
    events_per_s: float
    cpu_s_per_100k: float
    peak_mib: float
    anomalies: dict[str, int]


@dataclass(frozen=True)
class Entry:
    """An engine on so many events; `command` is given the settings, the source and the sink."""

    name: str
    events: int
    command: Callable[[Settings, str, str, int], Sequence[str]]


def entries(jar: Path | None) -> list[Entry]:
    found = [Entry(KEYTRAIL, SHORT, _keytrail), Entry(KEYTRAIL, LONG, _keytrail)]
    if PEERS_PYTHON.exists():
        found += [
            Entry(LOOP, SHORT, _peer("loop")),
            Entry(QUIX, SHORT, _peer("quix")),
            Entry(FAUST, SLOW, _peer("faust_plain", "worker", "-l", "info")),
        ]
    if jar is not None:
        found += [
            Entry(STREAMS_ONCE, SHORT, _streams(jar, "exactly_once_v2")),
            Entry(STREAMS_ONCE, LONG, _streams(jar, "exactly_once_v2")),
            Entry(STREAMS_AT_LEAST, LONG, _streams(jar, "at_least_once")),
        ]
    return found


def _keytrail(settings: Settings, source: str, sink: str, count: int) -> Sequence[str]:
    workload.make_topic(settings.kafka.bootstrap, f"{sink}-state", _COMPACTED)
    module = "benchmarks.w1.keytrail_engine"
    where = ("--data-dir", str(settings.data_dir))
    return (sys.executable, "-m", module, source, sink, f"{sink}-state", str(count), *where)


def _peer(name: str, *arguments: str) -> Callable[[Settings, str, str, int], Sequence[str]]:
    python = str(PEERS_PYTHON.absolute())
    return lambda *_: (python, "-m", f"benchmarks.w1.peers.{name}", *arguments)


def _streams(jar: Path, guarantee: str) -> Callable[[Settings, str, str, int], Sequence[str]]:
    schemas = [
        _write(jar.parent / f"{s['name']}.avsc", json.dumps(s)) for s in (workload.EVENT, workload.ENRICHED)
    ]
    classes = f"{jar}:{jar.parent / 'libs'}/*"
    return lambda *_: ("java", "-Xmx512m", "-cp", classes, "w1.W1", guarantee, *map(str, schemas))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def build_streams() -> Path | None:
    """The jar, built by Maven under `build/`; None where there is no Maven or no JDK."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        return None
    folder = Path("build/kafka-streams").absolute()
    shutil.copytree(_STREAMS, folder, dirs_exist_ok=True)
    libs = f"-DoutputDirectory={folder / 'target/libs'}"
    built = subprocess.run(
        ["mvn", "-q", "-B", "package", "dependency:copy-dependencies", libs], cwd=folder, check=False
    )
    return folder / "target/w1-kafka-streams-1.jar" if built.returncode == 0 else None


def run(entry: Entry, settings: Settings, number: int) -> Run:
    source, sink = f"w1-{entry.events}", f"w1-{entry.name}-{entry.events}-{number}"
    workload.make_topic(settings.kafka.bootstrap, sink)
    env = {
        **os.environ,
        "W1_KAFKA": settings.kafka.bootstrap,
        "W1_SOURCE": source,
        "W1_SINK": sink,
        "W1_EVENTS": str(entry.events),
        "PYTHONPATH": os.pathsep.join(["build/links", "."]),
    }
    command = entry.command(settings, source, sink, entry.events)
    with (settings.data_dir / f"{sink}.log").open("wb") as log:
        done = subprocess.run(
            command, env=env, stdout=subprocess.PIPE, stderr=log, timeout=_TIMEOUT_S, check=False
        )
    said = done.stdout.decode(errors="replace")
    if done.returncode or "{" not in said:
        words = (settings.data_dir / f"{sink}.log").read_text(errors="replace")[-1500:]
        raise RuntimeError(f"{entry.name} ended with {done.returncode}: {words}")
    return Run(entry.name, **json.loads(said[said.index(_REPORT) :]))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="")
    chosen = options.parse_args()
    work = [entry for entry in entries(build_streams()) if chosen.only in entry.name]
    runs: list[Run] = []
    with running_stack() as settings:
        for count in sorted({entry.events for entry in work}):
            workload.fill(settings.kafka.bootstrap, f"w1-{count}", count)
        for number in range(chosen.rounds):
            for entry in work:
                runs.append(run(entry, settings, number))
                latest = runs[-1]
                print(
                    f"{latest.engine}, {latest.events:,} events: {latest.events_per_s:,.0f}/s, "
                    f"{latest.cpu_s_per_100k:.2f} CPU s per 100,000, {latest.peak_mib:.0f} MiB",
                    flush=True,
                )
    _agree(runs)
    keep("w1", {"runs": [asdict(run) for run in runs]}, _table(runs))


def _agree(runs: Sequence[Run]) -> None:
    """All engines found the same anomalies in the same events."""
    for events in {run.events for run in runs}:
        found = {json.dumps(run.anomalies, sort_keys=True) for run in runs if run.events == events}
        if len(found) != 1:
            raise RuntimeError(f"the engines do not agree on {events} events: {found}")


def _table(runs: Sequence[Run]) -> str:
    lines = [
        "| engine | events | events/s, median (least to most) | CPU s per 100,000 | MiB | keytrail is |",
        "|---|---|---|---|---|---|",
    ]
    ours = {run.events: _rate(runs, KEYTRAIL, run.events) for run in runs if run.name == KEYTRAIL}
    for name, events in dict.fromkeys((run.name, run.events) for run in runs):
        some = [run for run in runs if (run.name, run.events) == (name, events)]
        rates = sorted(run.events_per_s for run in some)
        rate = statistics.median(rates)
        cpu = statistics.median(run.cpu_s_per_100k for run in some)
        mib = statistics.median(run.peak_mib for run in some)
        times = ours.get(events, ours.get(SHORT, 0.0)) / rate
        lines.append(
            f"| {some[0].engine} | {events:,} | {rate:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f}) "
            f"| {cpu:.2f} | {mib:.0f} | {times:.2f}x |"
        )
    return "\n".join(lines) + "\n"


def _rate(runs: Sequence[Run], name: str, events: int) -> float:
    return statistics.median(r.events_per_s for r in runs if (r.name, r.events) == (name, events))


if __name__ == "__main__":
    main()
