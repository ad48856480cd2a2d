"""`keytrail anomalies`: the findings as they stand, or, with --follow, as they come."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from keytrail.cli import triage
from keytrail.cli.findings import follow, read_current
from keytrail.cli.moments import show_moment
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, printable, progress
from keytrail.schemas.records import Anomaly, FindingStatus, Micros, Severity
from keytrail.sinks.cloud_events import envelope
from keytrail.sinks.finding_json import plain
from keytrail.sinks.ocsf import detection_finding

_SEVERITIES: tuple[str, ...] = get_args(Severity)
_STATUSES: tuple[str, ...] = get_args(FindingStatus)
_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36"}
_COLUMNS = ("severity", "rule", "entity", "cause", "count", "first seen", "last seen", "status")
_FOLLOW_WIDTHS = (8, 16, 40, 24, 5, 19, 19, 10)
_ID_DIGITS = 12


@dataclass(frozen=True)
class Filter:
    """What to show; an empty text lets everything through, `severity` is the least one."""

    severity: str
    rule: str
    entity: str
    status: str

    def accepts(self, anomaly: Anomaly) -> bool:
        return (
            _rank(anomaly.severity) >= _rank(self.severity)
            and self.rule in ("", anomaly.rule)
            and self.entity in ("", anomaly.entity)
            and self.status in ("", anomaly.status)
        )


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--severity", choices=_SEVERITIES, default="", help="this one and those above")
    parser.add_argument("--rule", default="", metavar="NAME")
    parser.add_argument("--entity", default="", metavar="NAME", help="a key, a subject, a service ...")
    parser.add_argument("--status", choices=_STATUSES, default="")
    parser.add_argument("--limit", type=int, metavar="N", help="show no more than N")
    parser.add_argument(
        "--follow", action="store_true", help="wait for findings from the topic, until Ctrl-C"
    )
    parser.add_argument(
        "--from-beginning", action="store_true", help="with --follow: every record of the topic first"
    )
    json_flag(parser)
    parser.add_argument("--ocsf", action="store_true", help="as OCSF Detection Findings, JSON lines")
    parser.add_argument(
        "--cloudevents", action="store_true", help="each in a CloudEvents envelope, JSON lines"
    )
    connection_flags(parser)
    triage.arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.verb is not None:
        return triage.run(options)
    settings = settings_from(options)
    wanted = Filter(options.severity, options.rule, options.entity, options.status)
    if options.follow:
        records = follow(settings, from_beginning=options.from_beginning)
    else:
        records = iter(sorted(read_current(settings), key=_order))
    shown = _limited(filter(wanted.accepts, records), options.limit)
    if options.json or options.ocsf or options.cloudevents:
        print_json(_in_form(anomaly, options) for anomaly in shown)
    elif options.follow:
        _print_each(shown, _FOLLOW_WIDTHS)
    else:
        _print_all(list(shown))
    return 0


def _in_form(anomaly: Anomaly, options: argparse.Namespace) -> Mapping[str, object]:
    form: Mapping[str, object] = detection_finding(anomaly) if options.ocsf else plain(anomaly)
    return envelope(anomaly, form) if options.cloudevents else form


def _print_all(anomalies: list[Anomaly]) -> None:
    if not anomalies:
        progress("No findings.")
        return
    cells = [_cells(anomaly) for anomaly in anomalies]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    print(_line([name.upper() for name in _COLUMNS], widths))
    _print_each(iter(anomalies), widths)


def _print_each(anomalies: Iterator[Anomaly], widths: Iterable[int]) -> None:
    """Two lines each: the figures, and the finding's id with the sentence behind them."""
    widths = tuple(widths)
    for anomaly in anomalies:
        line = _line(_cells(anomaly), widths)
        word = printable(anomaly.severity)
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ and (colour := _COLOURS.get(word)):
            line = line.replace(word, f"\033[{colour}m{word}\033[0m", 1)
        print(f"{line}\n    {anomaly.anomaly_id[:_ID_DIGITS]}  {printable(anomaly.summary)}", flush=True)


def _cells(anomaly: Anomaly) -> list[str]:
    values = (
        anomaly.severity,
        anomaly.rule,
        f"{anomaly.entity_type} {anomaly.entity}",
        anomaly.cause,
        anomaly.count,
        _second(anomaly.first_seen),
        _second(anomaly.last_seen),
        _standing(anomaly),
    )
    return [printable(value) for value in values]


def _standing(anomaly: Anomaly) -> str:
    """The status, and who decided so."""
    if anomaly.status in ("acknowledged", "closed") and (by := anomaly.details.get("triaged_by")):
        return f"{anomaly.status} by {by}"
    return anomaly.status


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _second(moment: Micros) -> str:
    """UTC, to the second."""
    return (show_moment(Micros(moment // 1_000_000 * 1_000_000)) or "").replace("T", " ").removesuffix("Z")


def _order(anomaly: Anomaly) -> tuple[int, int]:
    """The worst first, and of these the latest."""
    return -_rank(anomaly.severity), -anomaly.last_seen


def _rank(severity: str) -> int:
    """An unknown severity is shown as if it were the worst."""
    if not severity:
        return 0
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _limited(anomalies: Iterator[Anomaly], limit: int | None) -> Iterator[Anomaly]:
    """Ends right after the last one: it does not wait for one more."""
    for count, anomaly in enumerate(anomalies, start=1):
        yield anomaly
        if count == limit:
            return
