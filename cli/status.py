"""`keytrail status`: what runs, what is behind, and what holds rules back; whether the books balance."""

import argparse
from collections.abc import Iterable
from dataclasses import asdict

from keytrail.cli import status_check, status_hours, status_producers
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.deploy.embedded.commands import StackStatus, stack_status
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.settings import Settings, find_data_dir
from keytrail.sinks.hours import read_judged_hours
from keytrail.sinks.lag import PartitionLag, read_lag


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    json_flag(parser)
    parser.add_argument("--partitions", action="store_true", help="lag of each partition, not of each topic")
    questions = parser.add_mutually_exclusive_group()
    questions.add_argument(
        "--check", action="store_true", help="whether the books balance: nothing lost, nothing twice"
    )
    questions.add_argument(
        "--producers", action="store_true", help="each producer's sequence numbers against the rows, by hour"
    )
    parser.add_argument("--prometheus", action="store_true", help="the check as Prometheus metrics")
    parser.add_argument("--since", metavar="T", help="producers: 2026-12-31T18:00, or 12h for hours ago")


def run(options: argparse.Namespace) -> int:
    _refuse_stray_flags(options)
    if options.check:
        return status_check.run(options)
    if options.producers:
        return status_producers.run(options)
    stack = stack_status(find_data_dir(options.data_dir))
    settings = _settings(options, stack)
    lags = read_lag(settings.kafka) if settings else []
    if options.json:
        print_json({"part": part.name, **asdict(part)} for part in stack.parts)
        print_json({**asdict(lag), "lag": lag.lag} for lag in lags)
    else:
        _print_parts(stack)
        _print_lags(lags, options.partitions)
    if settings:
        _print_hours(settings, as_json=options.json)
    healthy = settings is not None and all(part.state == "ready" for part in stack.parts)
    return 0 if healthy else 1


def _refuse_stray_flags(options: argparse.Namespace) -> None:
    if options.prometheus and (not options.check or options.json):
        raise UsageError(
            "--prometheus is a form of --check's answer.", "Use it with --check, without --json."
        )
    if options.since and not options.producers:
        raise UsageError("--since belongs to --producers.", "Use them together.")


def _settings(options: argparse.Namespace, stack: StackStatus) -> Settings | None:
    """None where no stack runs and nothing else is configured: that is an answer, not a mistake."""
    try:
        return settings_from(options)
    except UsageError:
        if stack.pid is not None:
            return None
        raise


def _print_parts(stack: StackStatus) -> None:
    if stack.pid is None:
        print("No embedded stack runs here.")
        return
    print_table(
        ("part", "state", "pid", "port", "memory", "up for", "restarts"),
        [
            (
                part.name,
                part.state,
                part.pid or "",
                part.port or "",
                f"{part.rss_bytes / 2**20:.0f} MiB",
                _duration(part.uptime_s),
                part.restarts,
            )
            for part in stack.parts
        ],
    )


def _print_lags(lags: Iterable[PartitionLag], each_partition: bool) -> None:
    rows: dict[tuple[str, ...], list[PartitionLag]] = {}
    for lag in lags:
        place = (lag.stage, lag.topic) + ((str(lag.partition),) if each_partition else ())
        rows.setdefault(place, []).append(lag)
    if rows:
        print()
        print_table(
            ("stage", "reads", *(("partition",) if each_partition else ()), "end", "lag"),
            [
                (*place, sum(lag.end for lag in some), sum(lag.lag for lag in some))
                for place, some in rows.items()
            ],
        )


def _print_hours(settings: Settings, *, as_json: bool) -> None:
    try:
        hours = read_judged_hours(settings.kafka)
    except KeytrailError as error:
        # Who may see the lag may not be allowed to read the worker's ledgers.
        progress(f"How far silence is judged cannot be read: {error}")
        return
    if hours and as_json:
        print_json([status_hours.row(hours)])
    elif hours:
        print("", *status_hours.lines(hours), sep="\n")


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
