"""Waiting for the rewriting of rows that ClickHouse does in the background."""

import time

from keytrail.schemas.errors import KeytrailError
from keytrail.sinks.clickhouse.http import ClickHouse

_POLL_S = 0.1
_FAILING = 3  # looks in a row at which it had failed: ClickHouse itself tries again for ever


def await_mutations(clickhouse: ClickHouse, database: str, table: str) -> None:
    """Returns when no rewriting of the table is under way, however long it takes.

    Raises `KeytrailError` where ClickHouse keeps failing at one, `UnavailableError` where it does not answer.
    """
    failing = 0
    while left := clickhouse.rows(
        "SELECT command, latest_fail_reason FROM system.mutations WHERE NOT is_done "
        "AND database = {database:String} AND table = {table:String}",
        params={"database": database, "table": table},
    ):
        failed = [row for row in left if row["latest_fail_reason"]]
        failing = failing + 1 if failed else 0
        if failing > _FAILING:
            raise KeytrailError(
                f"ClickHouse cannot carry out `{failed[0]['command']}` on {table}: "
                f"{failed[0]['latest_fail_reason']}.",
                "Remove the cause, or end it with KILL MUTATION, and run `keytrail migrate` again.",
            )
        time.sleep(_POLL_S)
