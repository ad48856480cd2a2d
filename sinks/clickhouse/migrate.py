"""Brings a database's tables up to date: numbered files of statements, each applied once.

`migrations/NNNN_name.sql` holds statements that end with a semicolon at a line's end, each repeatable
(`IF NOT EXISTS`), since ClickHouse has no transaction around them: a migration that was cut off is applied
again from its beginning, and two runs at once do the same work twice.  ClickHouse rewrites rows in the
background, beside inserts and queries; that is waited for.  What was applied is written to
`schema_migrations` with the file's checksum; a file that was edited afterwards is refused.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.settings import HttpSettings, Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.mutations import await_mutations
from keytrail.sinks.clickhouse.rewriting import rewritten_table

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DDL_TIMEOUT_S = 300.0
# The first that keytrail was run on: earlier ones know no projection of some of the rows.
LEAST_VERSION = (26, 9)
_JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    `version` UInt32 COMMENT 'Number of the migration.',
    `name` String COMMENT 'Its file.',
    `checksum` String COMMENT 'SHA-256 of the file, in hex.',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied, UTC.'
)
ENGINE = {merge_tree}
ORDER BY version
COMMENT 'Which migrations were applied.'
"""


@dataclass(frozen=True)
class Engines:
    """What stands for a file's `{merge_tree}` and `{deduplication_window}`."""

    merge_tree: str
    deduplication_window: str


SINGLE = Engines("MergeTree", "non_replicated_deduplication_window")
REPLICATED = Engines("ReplicatedMergeTree", "replicated_deduplication_window")


@dataclass(frozen=True)
class Migration:
    """One file; `version` is its number."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self, engines: Engines) -> list[str]:
        """In order, with the engines filled in."""
        filled = self.sql.replace("{merge_tree}", engines.merge_tree).replace(
            "{deduplication_window}", engines.deduplication_window
        )
        code = "\n".join(line for line in filled.splitlines() if not line.startswith("--"))
        return [statement.strip() for statement in re.split(r";\s*?(?:\n|\Z)", code) if statement.strip()]


@dataclass(frozen=True)
class Step:
    """One statement that is due; `rows` and `size_bytes` are of the table that it rewrites, 0 if none."""

    migration: str
    number: int
    statement: str
    rewrites: str | None
    rows: int = 0
    size_bytes: int = 0


def migrate(settings: Settings, engines: Engines = SINGLE) -> list[str]:
    """Applies what is missing, in order; returns the names of the files applied now.

    Raises `UsageError` for a database name that is none, `KeytrailError` where ClickHouse is
    too old, an applied file was edited, the tables are newer than this program, or ClickHouse refuses a
    statement, `UnavailableError` where it does not answer.
    """
    return apply(settings.clickhouse, settings.database, committed_migrations(), engines)


def plan(
    server: HttpSettings, database: str, migrations: Sequence[Migration], engines: Engines = SINGLE
) -> list[Step]:
    """The statements that `apply` would run.  Changes nothing; raises as `apply` does."""
    _check_name(database)
    clickhouse = ClickHouse(server, database=database)
    existing = "SELECT 1 AS it FROM system.tables WHERE database = {d:String} AND name = 'schema_migrations'"
    is_new = not ClickHouse(server).rows(existing, params={"d": database})
    sizes = {} if is_new else _sizes(clickhouse, database)
    steps = []
    for migration in _due(migrations, {} if is_new else _journal(clickhouse)):
        for number, statement in enumerate(migration.statements(engines), start=1):
            table = rewritten_table(statement)
            rows, size_bytes = sizes.get(table or "", (0, 0))
            steps.append(Step(migration.name, number, statement, table, rows, size_bytes))
    return steps


def committed_migrations() -> list[Migration]:
    """The migrations of this version of keytrail, in order."""
    folder = files("keytrail.sinks.clickhouse").joinpath("migrations")
    found = []
    for file in folder.iterdir():
        if named := _NAME.fullmatch(file.name):
            found.append(Migration(int(named[1]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def apply(
    server: HttpSettings, database: str, migrations: Sequence[Migration], engines: Engines = SINGLE
) -> list[str]:
    """As `migrate`, with migrations of the caller's choice."""
    _check_name(database)
    _check_version(ClickHouse(server))
    ClickHouse(server).run(f"CREATE DATABASE IF NOT EXISTS {database}")
    clickhouse = ClickHouse(server, database=database)
    clickhouse.run(_JOURNAL.replace("{merge_tree}", engines.merge_tree))
    done = []
    for migration in _due(migrations, _journal(clickhouse)):
        for statement in migration.statements(engines):
            _run(clickhouse, database, statement)
        clickhouse.run(
            "INSERT INTO schema_migrations (version, name, checksum) SETTINGS async_insert = 0 FORMAT TSV",
            data=[f"{migration.version}\t{migration.name}\t{migration.checksum}\n".encode()],
        )
        done.append(migration.name)
    return done


def _run(clickhouse: ClickHouse, database: str, statement: str) -> None:
    table = rewritten_table(statement)
    if table and statement.startswith("ALTER"):
        # One request would have to last as long as the rewriting does.
        clickhouse.run(f"{statement} SETTINGS mutations_sync = 0", timeout_s=_DDL_TIMEOUT_S)
        await_mutations(clickhouse, database, table)
    else:
        clickhouse.run(statement, timeout_s=_DDL_TIMEOUT_S)


def _check_version(clickhouse: ClickHouse) -> None:
    found = str(clickhouse.rows("SELECT version() AS version")[0]["version"])
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise KeytrailError(
            f"ClickHouse is of version {found}, and keytrail's tables need {least} or later.",
            "Update ClickHouse, then run `keytrail migrate` again.",
        )


def _check_name(database: str) -> None:
    if not _IDENTIFIER.fullmatch(database):
        raise UsageError(f"`{database}` is no name for a database.", "Use letters, digits and underscores.")


def _journal(clickhouse: ClickHouse) -> Mapping[str, str]:
    """The checksums of what was applied, by name."""
    rows = clickhouse.rows("SELECT name, any(checksum) AS checksum FROM schema_migrations GROUP BY name")
    return {str(row["name"]): str(row["checksum"]) for row in rows}


def _due(migrations: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """What was not applied yet; raises `KeytrailError` where what was applied is not of these files."""
    known = {migration.name for migration in migrations}
    if newer := sorted(applied.keys() - known):
        raise KeytrailError(
            f"The tables are of a newer keytrail than this one, which has no migration {', '.join(newer)}.",
            "Install the newer one to change them. Workers and sinks of this one go on.",
        )
    for migration in migrations:
        if (checksum := applied.get(migration.name)) not in (None, migration.checksum):
            raise KeytrailError(
                f"Migration {migration.name} was edited after it was applied "
                f"(applied {checksum[:12]}, now {migration.checksum[:12]}).",
                "Restore the file, and put the change into a new migration.",
            )
    return [migration for migration in migrations if migration.name not in applied]


def _sizes(clickhouse: ClickHouse, database: str) -> Mapping[str, tuple[int, int]]:
    """Rows and bytes on disk of each table."""
    rows = clickhouse.rows(
        "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts "
        "WHERE active AND database = {database:String} GROUP BY table",
        params={"database": database},
    )
    return {str(row["table"]): (int(str(row["rows"])), int(str(row["bytes"]))) for row in rows}
