"""What a service pays for recording: the time of one call, and how many events a process can keep up with.

    python -m benchmarks.sdk

A call's cost is measured at 2,000 calls a second, as a busy service makes them: with Kafka there, with Kafka
away, and with Kafka away and a spool; and one call after the other, when the code is in the caches.  The
sustained rate is that of one trail, from the first call until Kafka has every event, with the calls made by
one thread and by four, with signatures, and with a spool.  What a process grows by while Kafka is away is
measured in one of its own.
"""

import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import keep
from benchmarks.stack import running_stack
from keytrail.producers.trail import AuditTrail, KeyLike
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.privacy import PrivacySettings
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings
from keytrail.schemas.signature import SigningKey

_CALLS = 20_000
_PACE_S = 1 / 2_000
_SUSTAINED = 300_000
_ROUNDS = 3
_FLUSH_S = 120.0
_NOBODY = "127.0.0.1:9"
_AWAY_EVENTS = 200_000
_SIGNER = SigningKey("key-bench", "m1", 1, bytes(range(32)))


def away(settings: Settings) -> Settings:
    """The same with nobody at Kafka's address and the registry's."""
    return replace(
        settings,
        kafka=replace(settings.kafka, bootstrap=_NOBODY),
        registry=HttpSettings(f"http://{_NOBODY}"),
    )


def private(settings: Settings, secrets: Path) -> Settings:
    """The same in privacy mode, with a new secret."""
    MasterFile(secrets).add()
    return replace(settings, privacy=PrivacySettings(on=True), privacy_secrets=secrets)


def record(trail: AuditTrail, number: int, key: KeyLike = None) -> None:
    trail.grant(
        f"user-{number % 5000}",
        f"role-{number % 40}",
        key=key or f"key-{number % 2000}",
        actor="bench",
        reason="joined the team",
        ticket="OPS-42",
    )


def call_micros(settings: Settings, spool: Path | None = None, pace_s: float = _PACE_S) -> list[float]:
    """How long each of the calls took, in microseconds, in order of length."""
    took: list[float] = []
    trail = AuditTrail("bench", settings=settings, capacity=2 * _CALLS, spool=spool)
    due = time.perf_counter()
    for number in range(_CALLS):
        due += pace_s
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        began = time.perf_counter_ns()
        record(trail, number)
        took.append((time.perf_counter_ns() - began) / 1000)
    trail.close(0.0 if settings.kafka.bootstrap == _NOBODY else _FLUSH_S)
    return sorted(took)


def sustained(settings: Settings, threads: int, key: KeyLike = None, spool: Path | None = None) -> float:
    """Events a second, until Kafka has them all."""
    trail = AuditTrail("bench", settings=settings, capacity=_SUSTAINED, queue_bytes=1 << 30, spool=spool)
    each = _SUSTAINED // threads

    def calls() -> None:
        for number in range(each):
            record(trail, number, key)

    workers = [threading.Thread(target=calls) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    trail.close(_FLUSH_S)
    took = time.perf_counter() - began
    stats = trail.stats()
    if stats.delivered != each * threads:
        raise KeytrailError(f"{stats.delivered:,} events of {each * threads:,} were delivered.")
    return each * threads / took


def grown_mib() -> float:
    """What this process grows by while Kafka is away and events come as fast as they can."""
    url = HttpSettings(f"http://{_NOBODY}")
    trail = AuditTrail("bench", settings=Settings(Path(), KafkaSettings(_NOBODY), url, url))
    record(trail, 0)
    before = _resident_mib()
    most = before
    for number in range(_AWAY_EVENTS):
        record(trail, number)
        if number % 5_000 == 0:
            most = max(most, _resident_mib())
    trail.close(0.0)
    return max(most, _resident_mib()) - before


def grown_mib_in_a_process() -> float:
    command = [sys.executable, "-c", "from benchmarks.sdk import grown_mib; print(grown_mib())"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=_FLUSH_S, check=True).stdout
    return float(said)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def main() -> None:
    with running_stack() as settings, tempfile.TemporaryDirectory(prefix="keytrail-bench-") as scratch:
        calls = {
            "Kafka there": call_micros(settings),
            "Kafka away": call_micros(away(settings)),
            "Kafka away, spool": call_micros(away(settings), Path(scratch) / "away"),
            "Kafka away, in a row": call_micros(away(settings), pace_s=0.0),
            "Kafka there, privacy mode": call_micros(private(settings, Path(scratch) / "privacy.json")),
        }
        ways: dict[str, tuple[int, KeyLike, Path | None]] = {
            "1 thread": (1, None, None),
            "4 threads": (4, None, None),
            "1 thread, signed": (1, _SIGNER, None),
            "1 thread, spool": (1, None, Path(scratch) / "there"),
        }
        rates = {
            name: statistics.median(sustained(settings, *way) for _ in range(_ROUNDS))
            for name, way in ways.items()
        }
    grown = grown_mib_in_a_process()
    lines = ["| one call, microseconds | p50 | p99 | p99.9 | longest |", "|---|---|---|---|---|"]
    figures: dict[str, dict[str, float]] = {}
    for name, took in calls.items():
        figures[name] = {f"p{100 * share:g}": percentile(took, share) for share in (0.5, 0.99, 0.999, 1.0)}
        lines.append(f"| {name} | {' | '.join(f'{value:,.0f}' for value in figures[name].values())} |")
    lines += ["", "| one trail | events/s, until Kafka has them |", "|---|---|"]
    lines += [f"| {name} | {rate:,.0f} |" for name, rate in rates.items()]
    lines += ["", f"With Kafka away the process grows by {grown:,.0f} MiB."]
    keep(
        "sdk",
        {"call_us": figures, "sustained_per_s": rates, "grown_mib_kafka_away": grown},
        "\n".join(lines) + "\n",
    )


if __name__ == "__main__":
    main()
