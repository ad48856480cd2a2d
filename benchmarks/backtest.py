"""How fast a backtest judges: two policies side by side over a simulated company's events, without Kafka.

python -m benchmarks.backtest [--events 200000]
"""

import argparse
import time
from itertools import islice
from zlib import crc32

import psutil

from benchmarks.measure import keep
from keytrail.producers.datum import flat_encoder
from keytrail.producers.simulation import Simulation
from keytrail.schemas import avro, wire
from keytrail.stream.backtest import Backtest, PastRecord
from keytrail.stream.keys import KeyDirectory
from keytrail.stream.memory import calm_collector
from keytrail.stream.policy import Policy, SprawlLimits
from keytrail.stream.source import Record

PARTITIONS = 4
REAL_TIME = 1_000  # events a second
GOAL = 20  # times real time
_BATCH = 5_000
_FUTURE = 4_000_000_000_000_000
_MIB = 1 << 20


class _Schemas:
    def text_of(self, _schema_id: int) -> str:
        return avro.schema_text("event")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=200_000)
    events: int = options.parse_args().events
    simulation = Simulation(events, seed=7)
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    frame = wire.frame(1)
    past = [
        PastRecord(crc32(event.whose.encode()) % PARTITIONS, Record(offset, frame + encode(event)))
        for offset, event in enumerate(simulation.events())
    ]
    keys = KeyDirectory()
    for key in list(simulation.keys()):
        keys.apply(key)
    calm_collector()
    held = psutil.Process().memory_info().rss
    lines = ["| policies | events/s | times real time | MiB more |", "|---|---|---|---|"]
    figures = {}
    for policies in ([Policy()], [Policy(), Policy(sprawl=SprawlLimits(least_roles=12))]):
        backtest = Backtest(policies, keys, _Schemas(), lambda: _FUTURE)
        records = iter(past)
        began = time.perf_counter()
        while some := list(islice(records, _BATCH)):
            backtest.take(some)
        for trial in backtest.trials:
            trial.findings()
        rate = events / (time.perf_counter() - began)
        more = (psutil.Process().memory_info().rss - held) / _MIB
        lines.append(f"| {len(policies)} | {rate:,.0f} | {rate / REAL_TIME:.0f} | {more:.0f} |")
        figures[f"policies_{len(policies)}"] = {"events_per_s": rate, "mib_more": more}
    keep("backtest", {"events": events, "goal": GOAL, **figures}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
