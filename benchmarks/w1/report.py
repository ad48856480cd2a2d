"""What an engine says of its run: one line of JSON, the same from each."""

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path


class Report:
    """Time and CPU from the first event to the last one's commit."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._began: float | None = None
        self._cpu = 0.0

    def begin(self) -> None:
        """Called with each batch; the first call counts."""
        if self._began is None:
            self._began, self._cpu = time.perf_counter(), cpu_seconds()

    def end(self, events: int, anomalies: Mapping[str, int]) -> None:
        """Print the line and end the process at once."""
        wall = time.perf_counter() - (self._began or 0.0)
        said = {
            "engine": self._engine,
            "events": events,
            "events_per_s": events / wall,
            "cpu_s_per_100k": (cpu_seconds() - self._cpu) / events * 1e5,
            "peak_mib": peak_mib(),
            "anomalies": dict(sorted(anomalies.items())),
        }
        os.write(sys.__stdout__.fileno(), json.dumps(said).encode() + b"\n")  # some engines redirect stdout
        os._exit(0)


def peak_mib() -> float:
    """The most that was resident since this program began: `ru_maxrss` also counts who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [peak_kib] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak_kib) / 1024


def cpu_seconds() -> float:
    """Of every thread of the process, native ones too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
