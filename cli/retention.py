"""`keytrail retention`: how long events are kept, what is due, and removing it so that it is known."""

import argparse
from collections.abc import Sequence

from keytrail.cli.moments import show_moment
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.cli.retention_record import Author, Record
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import UnavailableError, UsageError
from keytrail.schemas.settings import sections_below
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.lag import await_caught_up
from keytrail.sinks.retention.classes import RetentionClass, read_classes
from keytrail.sinks.retention.cuts import CUT, recorded_cuts
from keytrail.sinks.retention.cutting import Cutting, Due

_SINK_PATIENCE_S = 60.0
_OTHER_ROWS = "it was told of other rows than `cut_rows` has; none of them were removed."


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="what is kept, due and held of each class; what was removed")
    apply = verbs.add_parser("apply", help="remove what is due")
    author_flags(apply)
    for verb in (show, apply):
        connection_flags(verb)
    json_flag(show)


def author_flags(parser: argparse.ArgumentParser) -> None:
    """Who acts, with which key, and why."""
    parser.add_argument("--reason", required=True, help="why, for the audit")
    parser.add_argument("--ticket", help="the ticket behind it")
    parser.add_argument("--actor", help="who does it (you)")
    parser.add_argument("--key", metavar="ID", help="the admin's key it is done with")


def author_of(options: argparse.Namespace) -> Author:
    return Author(options.actor, options.key, options.reason, options.ticket)


def run(options: argparse.Namespace) -> int:
    classes = read_classes(sections_below("retention"))
    return _show(options, classes) if options.verb == "show" else _apply(options, classes)


def _show(options: argparse.Namespace, classes: Sequence[RetentionClass]) -> int:
    settings = settings_from(options, needs=("clickhouse",))
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    due = Cutting(clickhouse, settings.database, system_clock).due(classes)
    rows = [(d.kept.name, show_moment(d.before), d.rows, d.due, d.held) for d in due]
    cuts = recorded_cuts(clickhouse)
    if options.json:
        names = ("class", "kept_since", "rows", "due", "held")
        print_json(dict(zip(names, row, strict=True)) for row in rows)
        print_json(vars(cut) for cut in cuts)
        return 0
    if not classes:
        progress("keytrail.toml has no [retention.CLASS]: everything is kept.")
    print_table(("class", "kept since", "rows", "due", "held"), rows)
    if cuts:
        print()
        print_table(
            ("removed at", "class", "rows", "by", "signed", "reason", "cut"),
            [
                (cut.at, cut.name, cut.rows, cut.actor, "yes" if cut.signed else "no", cut.reason, cut.cut_id)
                for cut in cuts
            ],
        )
    return 0


def _apply(options: argparse.Namespace, classes: Sequence[RetentionClass]) -> int:
    if not classes:
        raise UsageError(
            "Nothing says how long events are kept.", "Write [retention.CLASS] sections into keytrail.toml."
        )
    settings = settings_from(options)
    record = Record(settings, author_of(options), CUT)
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    cutting = Cutting(clickhouse, settings.database, system_clock)
    if cutting.has_untold() and not await_caught_up(settings.kafka, _SINK_PATIENCE_S):
        progress("A cut that was begun before may be on its way still: worker or sink are behind.")
    for cut_id in cutting.unfinished():
        cutting.await_told(cut_id, _SINK_PATIENCE_S)
    for cut_id in cutting.finish():
        progress(f"Cut {cut_id}: {_OTHER_ROWS}")
    cutting.sweep()
    for due in cutting.due(classes):
        _cut(cutting, record, due)
    return 0


def _cut(cutting: Cutting, record: Record, due: Due) -> None:
    if not due.due:
        progress(f"{due.kept.name}: nothing is due.")
        return
    cut = cutting.prepare(due, UuidV7()())
    record.tell(CUT, UuidV7()(), cut.attributes)
    cutting.await_told(cut.cut_id, _SINK_PATIENCE_S)
    if cut.cut_id in cutting.finish():
        raise UnavailableError(f"Cut {cut.cut_id}: {_OTHER_ROWS}", "See who else writes to `cut_rows`.")
    progress(f"{due.kept.name}: {cut.rows} events from before {show_moment(due.before)} were removed.")
