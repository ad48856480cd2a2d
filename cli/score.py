"""`keytrail score`: how well the pipeline found what a simulation hid in its events."""

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.producers.simulation import Finding
from keytrail.producers.simulation.scoring import RuleScore, Settling, compare, total
from keytrail.producers.simulation.truth import Label, read_truth
from keytrail.schemas.errors import UsageError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

_POLL_S = 2.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="what `keytrail simulate --truth` wrote")
    parser.add_argument("--min-recall", type=float, default=0.99, metavar="R", help="default: %(default)s")
    parser.add_argument("--min-precision", type=float, default=0.95, metavar="P", help="default: %(default)s")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long at most until all is found"
    )
    json_flag(parser)
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 1 where recall or precision, over all rules, is below its minimum."""
    for flag in ("min_recall", "min_precision"):
        if not 0 <= getattr(options, flag) <= 1:
            raise UsageError(f"--{flag.replace('_', '-')} must lie between 0 and 1.")
    labels = read_truth(options.truth)
    scores = _settled(settings_from(options), labels, options.wait, options.min_recall)
    notes = {label.finding: label.note for label in labels}
    if options.json:
        print_json(_row(score) for score in scores)
    else:
        _print(scores, notes)
    overall = scores[-1]
    is_good = overall.recall >= options.min_recall and overall.precision >= options.min_precision
    return 0 if is_good else 1


def _settled(settings: Settings, labels: list[Label], wait_s: float, min_recall: float) -> list[RuleScore]:
    """The scores by rule and the total last, once they are final or the time is over."""
    deadline = time.monotonic() + wait_s
    settling = Settling(min_recall)
    clickhouse = ClickHouse(settings.clickhouse)
    while True:
        scores = scores_now(labels, clickhouse, settings.database)
        overall = total(scores)
        now = time.monotonic()
        if settling.is_over(overall, now) or now >= deadline:
            return [*scores, overall]
        progress(f"{len(overall.found)} of {overall.expected} found so far.")
        time.sleep(min(_POLL_S, deadline - now))


def scores_now(labels: Iterable[Label], clickhouse: ClickHouse, database: str) -> list[RuleScore]:
    """By rule, of what was found until now."""
    found = _findings(clickhouse, database, "anomalies")
    over = _findings(clickhouse, database, "anomalies_current WHERE status = 'resolved'")
    return compare(labels, found, set(over))


def _findings(clickhouse: ClickHouse, database: str, which: str) -> list[Finding]:
    """In the table of all states, whatever was ever found, also what has been resolved since."""
    rows = clickhouse.rows(f"SELECT DISTINCT rule, entity_type, entity, cause FROM {database}.{which}")  # noqa: S608
    return [Finding(*(str(row[column]) for column in Finding._fields)) for row in rows]


def _row(score: RuleScore) -> Mapping[str, object]:
    return {
        "rule": score.rule,
        "expected": score.expected,
        "found": len(score.found),
        "recall": score.recall,
        "precision": score.precision,
        "missed": [finding._asdict() for finding in score.missed],
        "wrong": [finding._asdict() for finding in score.wrong],
        "near_misses": [finding._asdict() for finding in score.near_misses],
    }


def _print(scores: Iterable[RuleScore], notes: Mapping[Finding, str]) -> None:
    every = list(scores)
    print_table(
        ("rule", "expected", "found", "missed", "wrong", "near misses", "recall", "precision"),
        [
            (
                score.rule,
                score.expected,
                len(score.found),
                len(score.missed),
                len(score.wrong),
                len(score.near_misses),
                f"{score.recall:.3f}",
                f"{score.precision:.3f}",
            )
            for score in every
        ],
    )
    overall = every[-1]
    rows = [("missed", finding) for finding in overall.missed]
    rows += [
        ("near miss" if finding in overall.near_misses else "wrong", finding) for finding in overall.wrong
    ]
    if rows:
        print()
        print_table(
            ("", "rule", "entity type", "entity", "cause", "note"),
            [(what, *finding, notes.get(finding, "")) for what, finding in rows],
        )
