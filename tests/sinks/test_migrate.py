"""The migrations: repeatable, safe side by side, true to the schemas, and not to be edited."""

import json
import threading
import uuid
from dataclasses import replace

import pytest

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
)

SCHEMAS = {"events": "enriched", "anomalies": "anomaly", "keys": "key", "dead_letters": "deadletter"}
VIEWS = {"anomalies_current": "anomaly", "keys_current": "key"}
ONE = Migration(
    1,
    "0001_one.sql",
    "-- why; and how\nCREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = {merge_tree}\nORDER BY a;\n",
)


@pytest.fixture
def fresh(settings: Settings) -> Settings:
    """The same ClickHouse with a database that is not there yet."""
    return replace(settings, database=f"migrate_{uuid.uuid4().hex}")


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


@pytest.mark.parametrize(("table", "schema"), [*SCHEMAS.items(), *VIEWS.items()])
def test_columns_are_the_schemas_fields_and_say_the_same(settings: Settings, table: str, schema: str) -> None:
    rows = ClickHouse(settings.clickhouse).rows(
        "SELECT name, type, comment FROM system.columns WHERE database = {database:String} "
        "AND table = {table:String} ORDER BY position",
        params={"database": settings.database, "table": table},
    )
    fields = json.loads(avro.schema_text(schema))["fields"]
    assert [row["name"] for row in rows] == [*(field["name"] for field in fields), *LINEAGE, "inserted_at"]
    for row, field in zip(rows, fields, strict=False):
        # Text that is absent is stored as '', so what the schema calls null is empty there.
        nullable = str(row["type"]).startswith("Nullable")
        assert row["comment"] == (field["doc"] if nullable else field["doc"].replace("Null:", "Empty:"))
    assert all(row["comment"] for row in rows)
