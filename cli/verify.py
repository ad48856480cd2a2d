"""`keytrail verify`: whether the events are as they were signed; which are not."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from keytrail.cli.checkpoints import trust_flag, trust_of
from keytrail.cli.moments import parse_past
from keytrail.cli.notary import now
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, printable, progress
from keytrail.sinks.proof.anchor import read_anchor
from keytrail.sinks.proof.audit import Audit, Named
from keytrail.sinks.proof.evidence import Problem
from keytrail.sinks.proof.unsigned import Unsigned
from keytrail.sinks.proof.verification import Verdict

_SHOWN = 50
_NEEDS = {None: ("clickhouse",), "clickhouse": ("clickhouse",), "kafka": ("kafka", "registry")}


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    json_flag(parser)
    parser.add_argument(
        "--only",
        choices=("clickhouse", "kafka"),
        help="read the events there alone (default: both, and the one against the other)",
    )
    parser.add_argument("--since", metavar="T", help="what was signed since 2026-12-31, or 12h ago")
    parser.add_argument(
        "--anchor",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="checkpoints that were kept outside; repeatable",
    )
    trust_flag(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 1 where anything is not as it was signed."""
    settings = settings_from(options, needs=_NEEDS[options.only])
    with_kafka = options.only != "clickhouse" and bool(settings.kafka.bootstrap)
    if options.only is None and not with_kafka:
        progress("No Kafka address is known: the rows are compared with what was signed alone.")
    since = parse_past(options.since, now()) if options.since else None
    anchor = [note for file in options.anchor for note in read_anchor(file)]
    trust = trust_of(options, settings)
    with Audit(settings, trust, clickhouse=options.only != "kafka", kafka=with_kafka) as audit:
        evidence = audit.evidence(anchor)
        verdicts: list[Verdict] = []
        verdicts += _told(audit.rows(evidence, since))
        verdicts += _told(audit.records(evidence, since))
        waiting, behind = audit.not_signed(evidence)
        verdicts += behind
        problems = [*evidence.problems, *(problem for verdict in verdicts for problem in verdict.problems)]
        named = list(audit.named(verdicts))
    if options.json:
        _print_json(verdicts, problems, named, waiting)
    else:
        _print(verdicts, problems, named, waiting)
    return 1 if problems or named else 0


def _told(verdicts: Iterable[Verdict]) -> Iterable[Verdict]:
    for verdict in verdicts:
        progress(f"{verdict.source}, partition {verdict.log.partition}: {verdict.proved} proved.")
        yield verdict


def _print_json(
    verdicts: Iterable[Verdict],
    problems: Iterable[Problem],
    named: Iterable[Named],
    waiting: Iterable[Unsigned],
) -> None:
    print_json(
        {
            "log": verdict.log.origin,
            "source": verdict.source,
            "proved": verdict.proved,
            "unchecked": verdict.unchecked,
            "before": verdict.before,
            "doubled": verdict.doubled,
            "good": verdict.good,
        }
        for verdict in verdicts
    )
    print_json(
        {
            "difference": each.difference.kind.value,
            "log": each.log.origin,
            "source": each.source,
            "partition": each.log.partition,
            "first": each.difference.first,
            "last": each.difference.last,
            "count": each.difference.count,
            "event_id": each.event_id,
        }
        for each in named
    )
    print_json({"problem": each.what, "log": each.log.origin if each.log else ""} for each in problems)
    print_json(
        {"not_signed_yet": each.rows, "log": each.log.origin, "first": each.first, "last": each.last}
        for each in waiting
    )


def _print(
    verdicts: Sequence[Verdict],
    problems: Sequence[Problem],
    named: Sequence[Named],
    waiting: Sequence[Unsigned],
) -> None:
    columns = ("source", "partition", "proved", "unchecked", "doubled", "")
    print_table(
        columns,
        (
            (each.source, each.log.partition, each.proved, each.unchecked, each.doubled, _word(each))
            for each in verdicts
        ),
    )
    if named:
        print()
        print_table(
            ("what", "where", "partition", "offset", "events", "event id"), map(_cells, named[:_SHOWN])
        )
        if len(named) > _SHOWN:
            print(f"... and {len(named) - _SHOWN} more; --json shows all.")
    for problem in problems:
        print(printable(problem.what))
    rows = sum(each.rows for each in waiting)
    if rows:
        progress(f"{rows} rows are newer than the newest checkpoints: not signed yet.")
    if not problems and not named:
        progress("Everything that was signed is as it was signed.")


def _cells(named: Named) -> tuple[object, ...]:
    found = named.difference
    offsets = str(found.first) if found.first == found.last else f"{found.first} to {found.last}"
    return found.kind.value, named.source, named.log.partition, offsets, found.count, named.event_id


def _word(verdict: Verdict) -> str:
    return "as signed" if verdict.good else "NOT as signed"
