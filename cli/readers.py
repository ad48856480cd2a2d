"""`keytrail readers`: who may read the log in ClickHouse, and what they asked."""

import argparse
import signal
import sys
import threading

from keytrail.cli.emit import DELIVERY_TIMEOUT_S
from keytrail.cli.moments import show_moment
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import log_to_stderr, print_json, print_table, progress
from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher
from keytrail.producers.reader_queries import QueryLogReader
from keytrail.schemas.query_log import FOLDER
from keytrail.schemas.reader_roles import ROLES
from keytrail.schemas.readers import READERS_FILE, ReaderFile
from keytrail.schemas.settings import Settings, find_data_dir, read_stack
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.reader_sql import reader_sql

_LOOK_S = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="let somebody read the embedded ClickHouse; prints their token")
    add.add_argument("name", metavar="NAME")
    roles = "; ".join(f"{role.name}: {role.meaning}" for role in ROLES.values())
    add.add_argument("--role", required=True, choices=tuple(ROLES), help=roles)
    add.add_argument("--team", default="", metavar="T", help="the team of an owner")
    add.add_argument(
        "--key", default="", metavar="ID", help="the key that the reader's queries are logged with"
    )
    remove = verbs.add_parser("remove", help="the reader's token opens nothing any more")
    remove.add_argument("name", metavar="NAME")
    every = verbs.add_parser("list", help="who may read, and since when")
    sql = verbs.add_parser("sql", help="the same roles as SQL for a ClickHouse server")
    sql.add_argument("--team", action="append", default=[], metavar="T", help="teams to make owners for")
    forward = verbs.add_parser("forward", help="send readers' queries as events (`up` starts it by itself)")
    for verb in (add, remove, every, sql, forward):
        connection_flags(verb)
    json_flag(every)


def run(options: argparse.Namespace) -> int:
    folder = find_data_dir(options.data_dir)
    readers = ReaderFile(folder / READERS_FILE)
    if options.verb == "add":
        was_open = "clickhouse_password" not in (stack := read_stack(folder)) and bool(stack)
        print(
            readers.add(options.name, options.role, now=system_clock(), team=options.team, key_id=options.key)
        )
        progress(f"This is the token of {options.name}; it is not shown again.")
        if was_open:
            progress("This stack still answers everybody; start it again so that only readers get in.")
    elif options.verb == "remove":
        readers.remove(options.name)
    elif options.verb == "list":
        rows = [(r.name, r.role, r.team, r.key_id, r.added_at) for r in readers.current()]
        names = ("name", "role", "team", "key_id", "added_at")
        if options.json:
            print_json(dict(zip(names, row, strict=True)) for row in rows)
        else:
            print_table(names, [(*row[:4], show_moment(row[4])) for row in rows])
    elif options.verb == "sql":
        sys.stdout.write(_sql(settings_from(options, needs=("clickhouse",)), options.team))
    else:
        _forward(settings_from(options, needs=("kafka", "registry")))
    return 0


def _sql(settings: Settings, teams: list[str]) -> str:
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    views = clickhouse.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
    )
    return reader_sql(settings.database, [str(row["name"]) for row in views], teams)


def _forward(settings: Settings) -> None:
    """Until SIGTERM or SIGINT: what has ended is sent, and only then done with."""
    log_to_stderr()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    log = QueryLogReader(settings.data_dir / "clickhouse" / FOLDER)
    publisher = EventPublisher(settings, client_id="keytrail-readers")
    while True:
        last = stopped.is_set()
        if publisher.publish_all(log.take()):
            publisher.settle(DELIVERY_TIMEOUT_S)
        log.done()
        if last:
            return
        stopped.wait(_LOOK_S)
