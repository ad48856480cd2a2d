"""The migrations: repeatable, safe side by side, true to the schemas, and not to be edited."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import replace
from functools import partial

import pytest
from own_tables import grant, insert
from waiting import wait_until

from keytrail.cli.main import main
from keytrail.schemas import avro
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.container import LINEAGE
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.migrate import (
    REPLICATED,
    SINGLE,
    Migration,
    apply,
    committed_migrations,
    migrate,
    plan,
)
from keytrail.sinks.clickhouse.rewriting import rewritten_table

SCHEMAS = {"events": "enriched", "anomalies": "anomaly", "keys": "key", "dead_letters": "deadletter"}
VIEWS = {"anomalies_current": "anomaly", "keys_current": "key"}
ONE = Migration(
    1,
    "0001_one.sql",
    "-- why; and how\nCREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = {merge_tree}\nORDER BY a;\n",
)

WIDER = Migration(
    2,
    "0002_wider.sql",
    "ALTER TABLE one ADD COLUMN IF NOT EXISTS b Int16 DEFAULT a + 1;\n"
    "ALTER TABLE one MATERIALIZE COLUMN b;\n",
)


@pytest.fixture
def fresh(settings: Settings) -> Settings:
    """The same ClickHouse with a database that is not there yet."""
    return replace(settings, database=f"migrate_{uuid.uuid4().hex}")


def test_a_clickhouse_that_is_too_old_is_refused(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keytrail.sinks.clickhouse.migrate.LEAST_VERSION", (99, 1))
    with pytest.raises(KeytrailError, match=r"need 99\.1 or later"):
        migrate(fresh)


def test_applied_once(fresh: Settings) -> None:
    names = [migration.name for migration in committed_migrations()]
    assert migrate(fresh) == names
    assert migrate(fresh) == []


def test_runs_side_by_side(fresh: Settings) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            migrate(fresh)
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert migrate(fresh) == []


def test_an_edited_migration_is_refused_by_name(fresh: Settings) -> None:
    apply(fresh.clickhouse, fresh.database, [ONE])
    with pytest.raises(KeytrailError, match=r"0001_one\.sql was edited"):
        apply(fresh.clickhouse, fresh.database, [replace(ONE, sql=ONE.sql + "\n")])


def test_one_that_fails_is_applied_again_from_its_beginning(fresh: Settings) -> None:
    two = Migration(2, "0002_two.sql", "ALTER TABLE one ADD COLUMN IF NOT EXISTS b Int8;\nSELECT nonsense;\n")
    with pytest.raises(KeytrailError):
        apply(fresh.clickhouse, fresh.database, [ONE, two])
    mended = replace(two, sql=two.sql.replace("SELECT nonsense;\n", ""))
    assert apply(fresh.clickhouse, fresh.database, [ONE, mended]) == ["0002_two.sql"]


def test_a_name_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError):
        migrate(replace(settings, database="x; DROP DATABASE keytrail"))


def test_statements() -> None:
    assert ONE.statements(SINGLE) == [
        "CREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = MergeTree\nORDER BY a"
    ]
    assert "ENGINE = ReplicatedMergeTree\n" in ONE.statements(REPLICATED)[0]


def test_versions_are_one_after_the_other() -> None:
    migrations = committed_migrations()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))


def test_the_plan_is_what_is_applied_and_changes_nothing(
    fresh: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_DATABASE", fresh.database)
    command = ("migrate", "--clickhouse", fresh.clickhouse.url)
    assert main([*command, "--plan", "--json"]) == 0
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    committed = committed_migrations()
    assert [step["statement"] for step in steps] == [s for m in committed for s in m.statements(SINGLE)]
    assert {step["rewrites"] for step in steps} == {None, "events"}
    assert description(fresh) == []
    assert main([*command]) == 0
    assert main([*command, "--plan", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_the_plan_says_how_much_is_rewritten(fresh: Settings) -> None:
    apply(fresh.clickhouse, fresh.database, [ONE])
    ClickHouse(fresh.clickhouse, database=fresh.database).run("INSERT INTO one SELECT 1 FROM numbers(5000)")
    [quick, slow] = plan(fresh.clickhouse, fresh.database, [ONE, WIDER])
    assert (quick.rewrites, quick.rows) == (None, 0)
    assert (slow.rewrites, slow.rows) == ("one", 5000)
    assert slow.size_bytes > 0


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("CREATE TABLE IF NOT EXISTS t (a Int8 COMMENT 'UPDATE') ENGINE = MergeTree ORDER BY a", None),
        ("CREATE OR REPLACE VIEW v AS SELECT * FROM t", None),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a Decimal(9, 2) DEFAULT 1,\n    ADD COLUMN b Int8", None),
        ("ALTER TABLE t MODIFY COLUMN `a` DEFAULT 'x, y'", None),
        ("ALTER TABLE t MODIFY COLUMN a Int64", "t"),
        ("ALTER TABLE t ADD COLUMN a Int8, MATERIALIZE COLUMN a", "t"),
        ("ALTER TABLE `t` DELETE WHERE a = 1", "t"),
        ("ALTER TABLE t MODIFY TTL a + INTERVAL 1 DAY", "t"),
        ("INSERT INTO t SELECT * FROM other", "t"),
        ("OPTIMIZE TABLE t FINAL", ""),
        ("CREATE MATERIALIZED VIEW v TO t AS SELECT 1", ""),
    ],
)
def test_what_rewrites_rows_is_known(statement: str, table: str | None) -> None:
    assert rewritten_table(statement) == table


def test_killed_at_any_moment_and_run_again_it_comes_to_the_same_end(settings: Settings) -> None:
    whole, cut = (replace(settings, database=f"migrate_{uuid.uuid4().hex}") for _ in range(2))
    migrate(whole)
    killed = 0
    for tables in range(1, len(description(whole)), 4):
        running = migrate_process(cut)
        wait_until(partial(has_come_so_far, cut, tables, running), f"{tables} tables are there")
        running.kill()
        killed += running.wait() == -signal.SIGKILL
    assert killed > 0
    migrate(cut)
    assert description(cut) == description(whole)
    assert migrate(cut) == []


def test_rows_from_before_have_their_subjects_team(fresh: Settings) -> None:
    earlier = [each for each in committed_migrations() if each.version < 8]
    apply(fresh.clickhouse, fresh.database, earlier)
    clickhouse = ClickHouse(fresh.clickhouse, database=fresh.database)
    insert(clickhouse, [grant("ann", "r", 1, attributes={"team": "red"}), grant("bob", "r", 2)])
    migrate(fresh)
    insert(clickhouse, [grant("cat", "r", 3, attributes={"team": "blue"})])
    told = clickhouse.rows("SELECT subject, team FROM access_changes ORDER BY subject")
    assert [tuple(row.values()) for row in told] == [("ann", "red"), ("bob", ""), ("cat", "blue")]


def test_rows_come_in_while_others_are_rewritten(fresh: Settings) -> None:
    apply(fresh.clickhouse, fresh.database, [ONE])
    clickhouse = ClickHouse(fresh.clickhouse, database=fresh.database)
    clickhouse.run("INSERT INTO one SELECT number % 100 FROM numbers(3000000)")
    inserted, done = 0, threading.Event()

    def rewrite() -> None:
        apply(fresh.clickhouse, fresh.database, [ONE, WIDER])
        done.set()

    thread = threading.Thread(target=rewrite)
    thread.start()
    while not done.is_set() or not inserted:
        # As a sink does that was started before the column was there.
        clickhouse.run("INSERT INTO one (a) SELECT 100 FROM numbers(10)")
        inserted += 10
    thread.join(60)
    [row] = clickhouse.rows("SELECT count() AS rows, countIf(b = a + 1) AS wider FROM one")
    assert int(str(row["rows"])) == int(str(row["wider"])) == 3_000_000 + inserted
    unfinished = "SELECT 1 AS it FROM system.mutations WHERE database = {d:String} AND NOT is_done"
    assert clickhouse.rows(unfinished, params={"d": fresh.database}) == []


def test_a_rewriting_that_fails_is_told(fresh: Settings) -> None:
    bad = Migration(2, "0002_bad.sql", "ALTER TABLE one DELETE WHERE throwIf(a = 7, 'seven') = 1;\n")
    apply(fresh.clickhouse, fresh.database, [ONE])
    clickhouse = ClickHouse(fresh.clickhouse, database=fresh.database)
    clickhouse.run("INSERT INTO one SELECT 7")
    with pytest.raises(KeytrailError, match=r"ClickHouse cannot carry out.*seven"):
        apply(fresh.clickhouse, fresh.database, [ONE, bad])
    clickhouse.run(f"KILL MUTATION WHERE database = '{fresh.database}'")


def test_tables_that_are_newer_than_the_program_are_refused(fresh: Settings) -> None:
    apply(fresh.clickhouse, fresh.database, [ONE, WIDER])
    for act in (plan, apply):
        with pytest.raises(KeytrailError, match=r"newer keytrail .* no migration 0002_wider\.sql"):
            act(fresh.clickhouse, fresh.database, [ONE])


def has_come_so_far(settings: Settings, tables: int, running: subprocess.Popen[bytes]) -> bool:
    return len(description(settings)) >= tables or running.poll() is not None


def description(settings: Settings) -> list[str]:
    """Every table and view of the database as ClickHouse would make it again."""
    rows = ClickHouse(settings.clickhouse).rows(
        "SELECT replaceAll(create_table_query, {database:String}, 'it') AS text FROM system.tables "
        "WHERE database = {database:String} ORDER BY name",
        params={"database": settings.database},
    )
    return [str(row["text"]) for row in rows]


def migrate_process(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "keytrail.cli.main", "migrate", "--clickhouse", settings.clickhouse.url],
        env={**os.environ, "KEYTRAIL_CLICKHOUSE_DATABASE": settings.database},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(("table", "schema"), [*SCHEMAS.items(), *VIEWS.items()])
def test_columns_are_the_schemas_fields_and_say_the_same(settings: Settings, table: str, schema: str) -> None:
    rows = ClickHouse(settings.clickhouse).rows(
        "SELECT name, type, comment FROM system.columns WHERE database = {database:String} "
        "AND table = {table:String} AND default_kind != 'MATERIALIZED' ORDER BY position",
        params={"database": settings.database, "table": table},
    )
    fields = json.loads(avro.schema_text(schema))["fields"]
    assert [row["name"] for row in rows] == [*(field["name"] for field in fields), *LINEAGE, "inserted_at"]
    for row, field in zip(rows, fields, strict=False):
        # Text that is absent is stored as '', so what the schema calls null is empty there.
        nullable = str(row["type"]).startswith("Nullable")
        assert row["comment"] == (field["doc"] if nullable else field["doc"].replace("Null:", "Empty:"))
    assert all(row["comment"] for row in rows)
