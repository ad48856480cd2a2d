"""`keytrail sql`: one statement in ClickHouse, its answer as a table, JSON lines or any format it knows."""

import argparse
import json
import sys
from collections.abc import Iterable

from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_table, printable
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.sinks.clickhouse.http import Answer, ClickHouse, RefusedError

_TABLE = "JSONCompactEachRowWithNames"
_SETTINGS = {"output_format_json_quote_64bit_integers": "0"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help="the statement, or - for stdin; database keytrail")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for {NAME:Type} in the statement; repeatable",
    )
    json_flag(parser)
    parser.add_argument("--format", metavar="NAME", help="a format of ClickHouse's, such as CSVWithNames")
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    if options.json and options.format:
        raise UsageError("--json is a format already.", "Leave --format out.")
    params = dict(map(param, options.param))
    query = sys.stdin.read() if options.query == "-" else options.query
    settings = settings_from(options)
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    wanted = "JSONEachRow" if options.json else options.format or _TABLE
    try:
        answer = clickhouse.stream(query, default_format=wanted, params=params, settings=_SETTINGS)
        _print(answer, as_table=wanted == _TABLE)
    except RefusedError as error:
        raise KeytrailError(one_line(error.said)) from error
    return 0


def param(text: str) -> tuple[str, str]:
    """A `--param` flag, read; raises `UsageError`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{text!r} is no parameter.", "Write it as --param name=value.")
    return name, value


def _print(answer: Answer, *, as_table: bool) -> None:
    if as_table and answer.format == _TABLE:
        lines = b"".join(answer.chunks).splitlines()
        if lines:
            names, *rows = map(json.loads, lines)
            print_table(names, (_cells(row) for row in rows))
        return
    # Another format, or the statement's own: as it comes, for a file or a program.
    for chunk in answer.chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _cells(row: Iterable[object]) -> list[object]:
    """Values as a table shows them; what has parts within parts is shown as JSON."""
    return [json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value for value in row]


def one_line(said: str) -> str:
    """ClickHouse's words without the list of everything that it would have taken instead."""
    cause, _, rest = said.partition(" Expected one of:")
    name = rest[rest.rfind("(") :] if rest else ""
    return printable(" ".join(f"{cause} {name}".split()))
