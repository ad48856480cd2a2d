"""How fast a backtest judges: two policies side by side over a simulated company's events, without Kafka.

python -m benchmarks.backtest [--events 200000]
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from zlib import crc32

from benchmarks.measure import keep, measure
from keytrail.producers.datum import flat_encoder
from keytrail.producers.simulation import Simulation
from keytrail.schemas import avro, wire
from keytrail.stream.backtest.backtest import Backtest, PastRecord
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy, SprawlLimits
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.memory import calm_collector

PARTITIONS = 4
REAL_TIME = 1_000  # events a second
GOAL = 20  # times real time
_BATCH = 20_000
_FUTURE = 4_000_000_000_000_000


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
    strict = Policy(sprawl=SprawlLimits(least_roles=5))
    lines = [
        "| policies | events/s | times real time | CPU s per 100,000 | spread |",
        "|---|---|---|---|---|",
    ]
    results = []
    for policies in ([Policy()], [Policy(), strict]):
        work = partial(partial, _judge, policies, keys, past)
        result = measure(f"backtest of {len(policies)}", events, work)
        results.append(asdict(result))
        lines.append(
            f"| {len(policies)} | {result.events_per_s:,.0f} | {result.events_per_s / REAL_TIME:.0f}"
            f" | {result.cpu_s_per_100k:.2f} | {result.spread:.0%} |"
        )
    keep("backtest", {"goal": GOAL, "results": results}, "\n".join(lines) + "\n")


def _judge(policies: Sequence[Policy], keys: KeyDirectory, past: Sequence[PastRecord]) -> None:
    backtest = Backtest(policies, keys, _Schemas(), lambda: _FUTURE)
    for start in range(0, len(past), _BATCH):
        backtest.take(past[start : start + _BATCH])
    for trial in backtest.trials:
        trial.findings()


if __name__ == "__main__":
    main()
