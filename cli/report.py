"""`keytrail report`: questions that come up again and again, with their answer's shape."""

import argparse
import csv
import sys

from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, printable, progress
from keytrail.cli.sql import one_line, param
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.sinks.clickhouse.http import ClickHouse, RefusedError
from keytrail.sinks.reports import REPORTS, Report
from keytrail.sinks.reports.report import Answer


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="REPORT", help="without it, the reports there are")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the report; repeatable",
    )
    form = parser.add_mutually_exclusive_group()
    json_flag(form)
    form.add_argument("--csv", action="store_true", help="comma-separated, with every column")
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 also where nothing was found: an empty answer is one."""
    if options.name is None:
        _print_reports(options.json)
        return 0
    report = REPORTS.get(options.name)
    if report is None:
        raise UsageError(f"There is no report {options.name!r}.", f"There are: {', '.join(REPORTS)}.")
    params = dict(map(param, options.param))
    if unknown := sorted(params.keys() - report.params.keys()):
        raise UsageError(
            f"The report {report.name} has no parameter {', '.join(unknown)}.",
            f"It has: {', '.join(report.params)}.",
        )
    settings = settings_from(options, needs=("clickhouse",))
    try:
        answer = report.answer(ClickHouse(settings.clickhouse, database=settings.database), params)
    except RefusedError as error:
        raise KeytrailError(one_line(error.said)) from error
    _print(report, answer, options)
    return 0


def _print(report: Report, answer: Answer, options: argparse.Namespace) -> None:
    if options.json:
        print_json(answer.rows)
    elif options.csv:
        _print_csv(answer)
    else:
        print_table(report.columns, ([row[name] for name in report.columns] for row in answer.rows))
    for note in answer.notes:
        progress(printable(note))


def _print_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if answer.rows:
        writer.writerow(answer.rows[0])
    for row in answer.rows:
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: object) -> str:
    """Text that no spreadsheet takes for a formula: events hold hostile strings."""
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _print_reports(as_json: bool) -> None:
    if as_json:
        print_json(
            {"report": report.name, "summary": report.summary, "params": dict(report.params)}
            for report in REPORTS.values()
        )
        return
    for report in REPORTS.values():
        print(f"{report.name}: {report.summary}")
        print_table(
            ("--param", "meaning"), [(f"  {name}=", meaning) for name, meaning in report.params.items()]
        )
