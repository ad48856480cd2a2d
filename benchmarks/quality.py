"""How well the rules find what a simulated company hides: recall and precision by rule, over several seeds.

python -m benchmarks.quality --events 500000 --seeds 1 2 3 4 5 [--page docs/detection-quality.md]

The rules run as in a backtest: the worker's stages, without Kafka.  A label is found if its finding ever was.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from keytrail.producers.datum import flat_encoder
from keytrail.producers.signing import Sign
from keytrail.producers.simulation import Finding, Simulation
from keytrail.producers.simulation.scoring import RuleScore, compare, total
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event
from keytrail.schemas.signature import SIGNATURE_HEADER, Masters, fingerprint
from keytrail.stream.backtest.backtest import Backtest, PastRecord
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.memory import calm_collector

_BATCH = 5_000
_EVENT_ID = 1
_FUTURE = 4_000_000_000_000_000
_MASTERS = Masters({"m1": bytes(range(32))})


class _Schemas:
    """The one schema that simulated events are written with."""

    def text_of(self, _schema_id: int) -> str:
        return avro.schema_text("event")


def find(simulation: Simulation) -> set[Finding]:
    """Every finding that the simulation's events ever give rise to."""
    directory = KeyDirectory()
    for key in list(simulation.keys()):
        directory.apply(key)
    policy = parse_policy(simulation.policy(), "the company's policy")
    backtest = Backtest(policy, directory, _Schemas(), lambda: _FUTURE, lambda: _MASTERS)
    for batch in _batches(simulation.events(), simulation.signer(_MASTERS)):
        backtest.take(batch)
    return {Finding(a.rule, a.entity_type, a.entity, a.cause) for a in backtest.findings()}


def _batches(events: Iterable[Event], sign: Sign) -> Iterator[list[PastRecord]]:
    text, frame = avro.schema_text("event"), wire.frame(_EVENT_ID)
    encode, mark = flat_encoder(avro.parse(text)), fingerprint(text)

    def record(at: int, event: Event) -> Record:
        datum = encode(event)
        signature = sign(event, mark, datum)
        headers = () if signature is None else ((SIGNATURE_HEADER, signature),)
        return Record(at, frame + datum, headers=headers)

    past = (PastRecord(0, record(at, event)) for at, event in enumerate(events))
    while batch := list(islice(past, _BATCH)):
        yield batch


@dataclass
class Tally:
    """Of one rule, over all seeds."""

    expected: int = 0
    found: int = 0
    wrong: int = 0

    def add(self, score: RuleScore) -> None:
        self.expected += score.expected
        self.found += len(score.found)
        self.wrong += len(score.wrong)

    def row(self, rule: str) -> str:
        recall = self.found / self.expected if self.expected else 1.0
        there = self.found + self.wrong
        precision = self.found / there if there else 1.0
        return f"| {rule} | {self.expected} | {self.found} | {self.wrong} | {recall:.3f} | {precision:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--page", type=Path, help="write the result there too")
    options = parser.parse_args()
    calm_collector()
    tallies: dict[str, Tally] = {}
    for seed in options.seeds:
        simulation = Simulation(options.events, seed, own_policy=True)
        scores = compare(simulation.truth(), find(simulation))
        for score in (*scores, total(scores)):
            tallies.setdefault(score.rule, Tally()).add(score)
    plain = Simulation(options.events, options.seeds[0], anomalies=False, own_policy=True)
    clean = len(find(plain))
    page = _page(options.events, options.seeds, tallies, clean)
    print(page)
    if options.page:
        options.page.write_text(page)


def _page(events: int, seeds: list[int], tallies: dict[str, Tally], clean: int) -> str:
    total_row = tallies.pop("total").row("**all**")
    lines = [
        "# Detection quality",
        "",
        f"Measured on {datetime.now(UTC).date()} by `python -m benchmarks.quality`: {len(seeds)} simulated",
        f"companies (seeds {', '.join(map(str, seeds))}), {events:,} events each, with anomalies of each",
        "kind and near misses that must stay silent beside them, judged by each company's own policy (its",
        "roles and groups, duties apart by environment, who signs, and exceptions).  The simulation is our",
        "own, so this says that the rules do what they say, not how often real life looks like that.",
        "",
        "| rule | expected | found | wrong | recall | precision |",
        "|---|---|---|---|---|---|",
        *(tallies[rule].row(f"`{rule}`") for rule in sorted(tallies)),
        total_row,
        "",
        f"Findings in {events:,} events of a company without any anomaly: {clean}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
