"""The columns that tables have: read at the start, and again where events have fields beyond them."""

import threading
from collections.abc import Callable, Mapping

from keytrail.schemas.errors import KeytrailError
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.tables import TABLES

_LOOK_AGAIN_S = 5.0


class TableColumns:
    """The tables' columns and their types.  Thread-safe.

    Making one reads them; it and `look_again` raise `UnavailableError` where ClickHouse does not answer, and
    `KeytrailError` where a table is missing.
    """

    def __init__(self, clickhouse: ClickHouse, database: str, clock: Callable[[], float]) -> None:
        self._clickhouse = clickhouse
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._columns = self._read()
        self._read_at = clock()

    def of(self, table: str) -> Mapping[str, str]:
        """Types by name, as they were when last read."""
        return self._columns[table]

    def look_again(self) -> None:
        """Somebody may have added a column by now; does nothing where they were read seconds ago."""
        with self._lock:
            if self._clock() < self._read_at + _LOOK_AGAIN_S:
                return
            self._columns = self._read()
            self._read_at = self._clock()

    def _read(self) -> Mapping[str, Mapping[str, str]]:
        rows = self._clickhouse.rows(
            "SELECT table, name, type FROM system.columns WHERE database = {database:String} "
            "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')",
            params={"database": self._database},
        )
        columns: dict[str, dict[str, str]] = {table.name: {} for table in TABLES}
        for row in rows:
            if row["table"] in columns:
                columns[str(row["table"])][str(row["name"])] = str(row["type"])
        if missing := [name for name, found in columns.items() if not found]:
            raise KeytrailError(
                f"Database {self._database} has no table {', '.join(missing)}.",
                "Make the tables with `keytrail migrate`.",
            )
        return columns
