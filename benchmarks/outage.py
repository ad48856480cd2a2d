"""ClickHouse away for long, under load: what the sink's memory does, and how long it takes to catch up.

python -m benchmarks.outage [--seconds 240] [--rate 2000]
"""

import argparse
import os
import signal
import threading
import time
from itertools import islice

import psutil

from benchmarks.stack import pid_of, running_stack
from keytrail.producers.publisher import EventPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

_PACE_S = 0.02
_CATCH_UP_S = 600.0
_MIB = 1 << 20


class Load(threading.Thread):
    """Sends at a steady rate until it is told to stop."""

    def __init__(self, settings: Settings, rate: float) -> None:
        super().__init__(daemon=True)
        self._publisher = EventPublisher(settings)
        self._batch = max(1, int(rate * _PACE_S))
        self.stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        events = Simulation(10_000_000, seed=9).events()
        while not self.stopping.wait(_PACE_S):
            self.sent += self._publisher.publish_all(list(islice(events, self._batch)))
        self._publisher.close(60)


def highest(process: psutil.Process, seconds: float) -> float:
    """The most memory that the process held meanwhile, in MiB."""
    end, most = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        most = max(most, process.memory_info().rss)
        time.sleep(0.5)
    return most / _MIB


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=240)
    options.add_argument("--rate", type=float, default=2000)
    chosen = options.parse_args()
    with running_stack(workers=1, sinks=1) as settings:
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        sink, gateway = psutil.Process(pid_of(settings, "sink")), pid_of(settings, "clickhouse")
        load = Load(settings, chosen.rate)
        load.start()
        before = highest(sink, 20)
        os.kill(gateway, signal.SIGSTOP)
        during = highest(sink, chosen.seconds)
        os.kill(gateway, signal.SIGCONT)
        back = time.monotonic()
        load.stopping.set()
        load.join()
        while (rows := int(str(clickhouse.rows("SELECT count() AS n FROM events")[0]["n"]))) < load.sent:
            if time.monotonic() - back > _CATCH_UP_S:
                raise TimeoutError(f"{rows} of {load.sent} rows")
            time.sleep(0.2)
        took = time.monotonic() - back
        print(f"{load.sent:,} events, ClickHouse away for {chosen.seconds:.0f} s")
        print(f"the sink held at most {before:.0f} MiB before, {during:.0f} MiB meanwhile")
        print(f"all {rows:,} rows were there {took:.0f} s after its return")


if __name__ == "__main__":
    main()
