"""`keytrail report`: questions that come up again and again, with their answer's shape."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keytrail.cli.moments import parse_past
from keytrail.cli.options import connection_flags, json_flag, policy_flag, settings_from
from keytrail.cli.output import print_json, print_table, printable, progress
from keytrail.cli.policy_in_force import policy_in_force, policy_of
from keytrail.cli.report_page import page
from keytrail.cli.report_text import print_csv, print_objects, print_tables
from keytrail.cli.sql import one_line, param
from keytrail.producers.clock import system_clock
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import Settings, find_policy_file
from keytrail.sinks.clickhouse.http import ClickHouse, RefusedError
from keytrail.sinks.reports import REPORTS
from keytrail.sinks.reports.terms import Separation, Terms
from keytrail.stream.policies.policy import Policy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    form.add_argument("--html", action="store_true", help="one page with charts and the queries, for a file")
    policy_flag(parser)
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
    policy = _policy(options.policy, settings) if report.by_policy else Policy()
    terms = _terms(params, policy, system_clock())
    try:
        answer = report.answer(ClickHouse(settings.clickhouse, database=settings.database), params, terms)
    except RefusedError as error:
        raise KeytrailError(one_line(error.said)) from error
    if report.by_policy:
        judged = f"What is privileged and what is kept apart is so by policy {policy.version}."
        answer = replace(answer, notes=(judged, *answer.notes))
    if options.json:
        print_objects(answer, terms)
    elif options.csv:
        print_csv(answer)
    elif options.html:
        print(page(report, answer, terms, params))
    else:
        print_tables(answer, terms)
    for note in answer.notes:
        progress(printable(note))
    return 0


def _policy(file: Path | None, settings: Settings) -> Policy:
    """The file's; else the one in force, as Kafka tells; without Kafka the settings' or the built-in one."""
    if file is None and settings.kafka.bootstrap:
        return policy_in_force(settings.kafka)
    return policy_of(find_policy_file(file))


def _terms(params: dict[str, str], policy: Policy, now: Micros) -> Terms:
    since = parse_past(params.get("since", "90d"), now)
    until = parse_past(params["until"], now) if "until" in params else now
    if since >= until:
        raise UsageError("The period ends before it begins.", "Give a `since` before `until`.")
    return Terms(
        _written(since),
        _written(until),
        policy.privileged_roles,
        tuple(Separation(each.name, each.first, each.second) for each in policy.separations),
    )


def _written(moment: Micros) -> str:
    """As ClickHouse writes it; `parse_past` reads only what a calendar reaches."""
    return (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%d %H:%M:%S.%f")


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
