"""The cookbook's questions and the reports' over many events: how long each takes, here and on a plain table.

    python -m benchmarks.questions [--events 50000000] [--runs 3] [--limit 20] [--folder DIR] [--load]

`--load` only makes the data in DIR; without it, a DIR that has data is brought up to date and asked.

The events are made inside ClickHouse: a company of 100,000 people, 800 roles and 20,000 keys over a year, a
few of each busy and most not, every column filled as services fill it.  The plain table has the same rows and
columns in the order they came, without index, projection, partition or codec; its database has the same
views; it is asked once, and no longer than `--limit` seconds.  Each view's typical question is named.  Last,
50,000 rows at a time are inserted for a while, alone and beside the questions.
"""

import argparse
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import keep
from keytrail.schemas.settings import HttpSettings
from keytrail.sinks.clickhouse.http import ClickHouse, RefusedError
from keytrail.sinks.clickhouse.migrate import SINGLE, apply, committed_migrations
from keytrail.sinks.reports import REPORTS
from keytrail.sinks.reports.terms import Separation, Terms

PAGE = Path(__file__).parents[1] / "docs" / "sql-cookbook.md"
QUESTION = re.compile(r"^## (\d+\. [^\n]*)\n\n```sql\n(.*?)\n```", re.MULTILINE | re.DOTALL)
PRODUCT, PLAIN, EMPTY = "keytrail", "plain", "empty"
_AT_ONCE = 1_000_000
_BLOCK = 50_000
_INSERT_S = 20.0
_TIMEOUT_S = 3_600.0
_TIMEOUT_EXCEEDED = 159
_PARAMS = {
    "subject": "person-77",
    "team": "team-77",
    "role": "role-40",
    "other": "role-41",
    "day": "2026-06-15 00:00:00",
    "since": "2026-12-18 00:00:00",  # the last week
    "key": "key-40",
    "owner": "person-40",
    "resource": "db-40",
    "finding": "none",
}

# Of each view, by the number of a question: the one that it is made for.
_TYPICAL = {
    1: "current_access",
    2: "access_as_of",
    5: "access_changes",
    12: "unattributed",
    16: "events",
    17: "key_activity",
    18: "key_lineage",
    24: "anomalies",
    30: "sprawl_by_team",
    31: "unused_access",
}

# The quarter before the last week; of the 800 roles twelve are privileged.
_TERMS = Terms(
    "2026-09-20 00:00:00",
    "2026-12-20 00:00:00",
    ("role-70?", "role-71", "role-72"),
    (Separation("two roles", ("role-40",), ("role-41",)),),
)

_PLAIN_TABLE = """
CREATE TABLE plain.{table} ENGINE = MergeTree ORDER BY () EMPTY AS SELECT * FROM keytrail.{table}
"""

# The number of the event is all there is: everything else follows from it.
_EVENTS = """
INSERT INTO {table} (event_id, occurred_at, recorded_at, service, environment, actor_id, actor_type, key_id,
    action, subject, role, permissions, resource, reason, ticket, approved_by, outcome, error, source_ip,
    user_agent, trace_id, span_id, correlation_id, attributes, producer_id, sequence, key_status, key_owner,
    key_kind, key_team, findings, policy_version, source_partition, source_offset, enriched_at, kafka_offset,
    kafka_partition, kafka_block, kafka_incarnation)
WITH
    cityHash64(number, 1) AS a, cityHash64(number, 2) AS b, cityHash64(number, 3) AS c,
    toUInt32(pow(a % 1000000 / 1000000, 2) * 100000) AS person,
    toUInt32(pow(b % 1000000 / 1000000, 3) * 20000) AS key,
    multiIf(c % 1000 < 60, 'grant', c % 1000 < 80, 'revoke', c % 1000 = 80, 'delete', c % 1000 < 200, 'login',
        c % 1000 < 300, 'create', 'use') AS did,
    did IN ('grant', 'revoke', 'delete') AS changes,
    toDateTime64('2026-01-01 00:00:00', 6, 'UTC')
        + toIntervalMicrosecond(intDiv(number * 31000000, {events} / 1000000)) AS at,
    toUInt32(pow(cityHash64(person, c % 9) % 1000000 / 1000000, 2) * 800) AS role_number
SELECT
    generateUUIDv7(), at, at + toIntervalMillisecond(a % 40), concat('service-', toString(key % 60)),
    if(c % 10 < 7, 'production', 'staging'),
    if(changes, concat('admin-', toString(a % 300)), concat('person-', toString(person))),
    if(key % 3 = 0, 'service', 'human'), if(c % 200 = 7, '', concat('key-', toString(key))), did,
    if(changes OR did = 'create', concat('person-', toString(person)), ''),
    if(did IN ('delete', 'login', 'create'), '', concat('role-', toString(role_number))),
    if(did = 'grant', [concat('read:', toString(role_number)), concat('write:', toString(role_number))], []),
    if(did IN ('use', 'create'), concat('db-', toString(b % 5000)), ''),
    if(changes AND c % 50 != 0, concat('needed for project ', toString(b % 4000)), ''),
    if(changes AND c % 3 = 0, concat('OPS-', toString(b % 90000)), ''),
    if(did = 'grant' AND c % 4 = 0, concat('person-', toString(a % 700)), ''),
    if(c % 60 = 1, 'denied', 'success'), if(c % 60 = 1, 'not allowed', ''),
    concat('10.', toString(person % 200), '.', toString(person % 251), '.', toString(a % 12)),
    concat('client/', toString(key % 12)),
    if(c % 10 < 4, lower(hex(sipHash128(number))), ''), if(c % 10 < 4, lower(hex(sipHash64(number))), ''),
    if(c % 10 = 5, concat('req-', toString(a)), ''),
    if(changes, map('team', concat('team-', toString(person % 400))), map()),
    concat('run-', toString(key % 60)), intDiv(number, 60) + 1,
    'active', concat('person-', toString(key % 9000)), if(key % 3 = 0, 'service', 'human'),
    concat('team-', toString(key % 400)), if(c % 2500 = 3, ['privileged_grant'], []), 'p1',
    number % 12, intDiv(number, 12), at + toIntervalMillisecond(a % 900), intDiv(number, 12), number % 12,
    intDiv(number, 600000), toUUID('00000000-0000-0000-0000-000000000001')
FROM numbers({first}, {count})
"""
_KEYS = """
INSERT INTO {table} (key_id, version, kind, owner, team, status, issued_at, parent_key)
SELECT concat('key-', toString(number)), 1, if(number % 3 = 0, 'service', 'human'),
    concat('person-', toString(number % 9000)), concat('team-', toString(number % 400)),
    if(number % 20 = 0, 'revoked', 'active'), toDateTime64('2025-06-01 00:00:00', 6, 'UTC'),
    if(number % 4 = 0 AND number > 0, concat('key-', toString(intDiv(number, 4))), '')
FROM numbers(20500)
"""


@dataclass(frozen=True)
class Timed:
    """Milliseconds: on the product's table the median of the runs; on the plain one of one run, which
    `broke_off` at the limit with what it took until then.  `typical`: the view it is typical of, or ""."""

    question: str
    typical: str
    ms: float
    plain_ms: float
    broke_off: bool

    @property
    def row(self) -> str:
        """A line of the table."""
        more = "> " if self.broke_off else ""
        plain = f"{more}{self.plain_ms:,.0f} | {more}{self.plain_ms / self.ms:.1f}"
        return f"| {self.question} | {self.typical} | {self.ms:,.0f} | {plain} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds of the plain table for a question")
    parser.add_argument("--folder", type=Path, help="where the data stays; without it, a temporary folder")
    parser.add_argument("--load", action="store_true", help="only make the data, in --folder")
    options = parser.parse_args()
    if options.load and not options.folder:
        parser.error("--load needs a --folder that keeps the data")
    # Ends as Ctrl-C does, so that ClickHouse is stopped too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as folder,
        running_clickhouse(Path(folder)) as server,
    ):
        if not has_data(server):
            load(server, options.events)
        if options.load:
            return
        apply(server, PRODUCT, committed_migrations())
        make_plain_views(server)
        sizes = bytes_an_event(ClickHouse(server, database=PRODUCT))
        timed = list(ask_all(server, options.runs, options.limit))
        alone, beside = insert_rates(server, options.events)
    lines = [
        f"{options.events:,} events: {sizes[PRODUCT]:.1f} bytes each on disk, "
        f"{sizes['projections']:.1f} of them the projections'; plain {sizes[PLAIN]:.1f}.",
        f"Inserted, {_BLOCK:,} rows at a time: {alone:,.0f} rows/s alone, {beside:,.0f} beside questions.",
        "",
        "| question | typical of | ms | plain table, ms | ratio |",
        "|---|---|---|---|---|",
        *(each.row for each in timed),
    ]
    figures = {"events": options.events, "bytes": sizes, "alone": alone, "beside": beside}
    keep("questions", {**figures, "questions": [asdict(t) for t in timed]}, "\n".join(lines) + "\n")


@contextmanager
def running_clickhouse(folder: Path) -> Iterator[HttpSettings]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "keytrail.deploy.embedded.gateway", "--log-level", "error"]
    process = subprocess.Popen([*command, "--data-dir", str(folder / "data"), "--port", str(port)])
    server = HttpSettings(f"http://127.0.0.1:{port}")
    try:
        while True:
            try:
                ClickHouse(server).run("SELECT 1")
                break
            except Exception:
                if process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def has_data(server: HttpSettings) -> bool:
    databases = "SELECT 1 FROM system.databases WHERE name = {name:String}"
    return bool(ClickHouse(server).rows(databases, params={"name": PLAIN}))


def load(server: HttpSettings, events: int) -> None:
    apply(server, PRODUCT, committed_migrations())
    anywhere = ClickHouse(server)
    anywhere.run(f"CREATE DATABASE {PLAIN}")
    for table in ("events", "keys", "anomalies", "dead_letters", "checkpoints"):
        anywhere.run(_PLAIN_TABLE.replace("{table}", table))
    # `SELECT *` leaves out what is made of other columns.
    anywhere.run(f"ALTER TABLE {PLAIN}.events ADD COLUMN subject_team String ALIAS attributes['team']")
    for first in range(0, events, _AT_ONCE):
        count = min(_AT_ONCE, events - first)
        for database in (PRODUCT, PLAIN):
            insert(anywhere, f"{database}.events", events, first, count)
        print(f"{first + count:,} events", file=sys.stderr)
    for database in (PRODUCT, PLAIN):
        anywhere.run(_KEYS.replace("{table}", f"{database}.keys"))
    # As the table's settings have it once a month is three days old.
    months = (
        "SELECT DISTINCT partition_id AS month FROM system.parts "
        "WHERE active AND database = {database:String} AND table = 'events' ORDER BY month"
    )
    for row in anywhere.rows(months, params={"database": PRODUCT}):
        whole = f"OPTIMIZE TABLE {PRODUCT}.events PARTITION ID '{row['month']}' FINAL"
        anywhere.run(whole, timeout_s=_TIMEOUT_S)
    while anywhere.rows("SELECT 1 FROM system.merges") or anywhere.rows(
        "SELECT 1 FROM system.mutations WHERE NOT is_done"
    ):
        time.sleep(1)


def make_plain_views(server: HttpSettings) -> None:
    plain = ClickHouse(server, database=PLAIN)
    for migration in committed_migrations():
        for statement in migration.statements(SINGLE):
            if re.match(r"CREATE (OR REPLACE )?VIEW", statement):
                plain.run(statement)


def insert(clickhouse: ClickHouse, table: str, events: int, first: int, count: int) -> None:
    given = {"{table}": table, "{events}": str(events), "{first}": str(first), "{count}": str(count)}
    statement = _EVENTS
    for name, value in given.items():
        statement = statement.replace(name, value)
    clickhouse.run(statement, timeout_s=_TIMEOUT_S)


def bytes_an_event(clickhouse: ClickHouse) -> Mapping[str, float]:
    parts = clickhouse.rows(
        "SELECT database, sum(bytes_on_disk) / sum(rows) AS each FROM system.parts "
        "WHERE active AND table = 'events' GROUP BY database"
    )
    [projections] = clickhouse.rows(
        "SELECT sum(bytes_on_disk) / (SELECT count() FROM events) AS each FROM system.projection_parts "
        "WHERE active AND table = 'events'"
    )
    sizes = {str(row["database"]): float(str(row["each"])) for row in parts}
    return {**sizes, "projections": float(str(projections["each"]))}


def ask_all(server: HttpSettings, runs: int, limit_s: float) -> Iterator[Timed]:
    product, plain = ClickHouse(server, database=PRODUCT), ClickHouse(server, database=PLAIN)
    for question, query in [*cookbook(), *report_queries(server)]:
        took = statistics.median(ask(product, query)[0] for _ in range(runs))
        number = question.partition(".")[0]
        typical = _TYPICAL.get(int(number), "") if number.isdigit() else ""
        timed = Timed(question, typical, took, *ask(plain, query, limit_s))
        print(timed.row, file=sys.stderr, flush=True)
        yield timed


def cookbook() -> list[tuple[str, str]]:
    return QUESTION.findall(PAGE.read_text())


def report_queries(server: HttpSettings) -> list[tuple[str, str]]:
    """Each query of each report once, from tables without rows; a chain's are made up as it goes."""
    apply(server, EMPTY, committed_migrations())
    clickhouse = ClickHouse(server, database=EMPTY)
    asked = (report.answer(clickhouse, {}, _TERMS) for report in REPORTS.values() if report.name != "chain")
    queries = {section.title: section.query for answer in asked for section in answer.sections}
    return [(f"report: {title}", query) for title, query in queries.items()]


def ask(clickhouse: ClickHouse, query: str, limit_s: float = _TIMEOUT_S) -> tuple[float, bool]:
    """Milliseconds until the answer, or until ClickHouse broke off after the limit, and whether it did."""
    asked = {name: _PARAMS[name] for name in re.findall(r"\{(\w+):", query)}
    began = time.perf_counter()
    broke_off = False
    try:
        clickhouse.rows(
            f"{query}\nSETTINGS max_execution_time = {limit_s}", params=asked, timeout_s=_TIMEOUT_S
        )
    except RefusedError as error:
        if error.code != _TIMEOUT_EXCEEDED:
            raise
        broke_off = True
    return (time.perf_counter() - began) * 1000, broke_off


def insert_rates(server: HttpSettings, events: int) -> tuple[float, float]:
    """Rows a second, alone and while somebody asks one question after another."""
    alone = insert_rate(server, events)
    stopped = threading.Event()

    def asks() -> None:
        clickhouse = ClickHouse(server, database=PRODUCT)
        while not stopped.is_set():
            for _, query in cookbook():
                if not stopped.is_set():
                    ask(clickhouse, query)

    asking = threading.Thread(target=asks)
    asking.start()
    beside = insert_rate(server, events)
    stopped.set()
    asking.join()
    return alone, beside


def insert_rate(server: HttpSettings, events: int) -> float:
    clickhouse, inserted, began = ClickHouse(server), 0, time.perf_counter()
    while (took := time.perf_counter() - began) < _INSERT_S:
        insert(clickhouse, f"{PRODUCT}.events", events, inserted, _BLOCK)
        inserted += _BLOCK
    return inserted / took


if __name__ == "__main__":
    main()
