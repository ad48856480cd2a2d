"""Puts a sink together from the settings."""

import logging
import time
import uuid
from collections.abc import Mapping
from time import monotonic

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.claims import Claims
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.incarnations import Incarnations
from keytrail.sinks.clickhouse.inserts import Inserts
from keytrail.sinks.clickhouse.opening import Opening
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.set_aside import SetAside
from keytrail.sinks.clickhouse.shipping import Shipping
from keytrail.sinks.clickhouse.sink import Sink, SinkConfig
from keytrail.sinks.clickhouse.tables import BY_TOPIC, TABLES
from keytrail.sinks.cluster import Cluster

_log = logging.getLogger("keytrail.sink")


def make_sink(settings: Settings, config: SinkConfig, patience: Patience) -> Sink:
    """A sink that is ready to run; waits for ClickHouse as long as it takes.

    `patience` is what waits; stopping it ends this wait too, with a `StoppedError`.  Raises
    `KeytrailError` where a table is missing.
    """
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    columns = patience.until_answered("start", lambda: read_columns(clickhouse, settings.database))
    cluster = Cluster(settings.kafka)
    registry = Registry(settings.registry)
    incarnations = Incarnations(cluster, list(BY_TOPIC), monotonic)
    claims = Claims(clickhouse, uuid.uuid4, patience.wait)
    inserts = Inserts(clickhouse, claims, columns, patience)
    set_aside = SetAside(settings.kafka, registry, lambda: Micros(time.time_ns() // 1000))
    opening = Opening(cluster, incarnations, claims, config.group, monotonic, patience)
    shipping = Shipping(registry, incarnations, inserts, set_aside, columns, patience)
    return Sink(settings.kafka, config, opening, shipping, incarnations, patience)


def read_columns(clickhouse: ClickHouse, database: str) -> Mapping[str, Mapping[str, str]]:
    """Each table's columns and their types.  Raises `KeytrailError` where a table is missing."""
    rows = clickhouse.rows(
        "SELECT table, name, type FROM system.columns WHERE database = {database:String} "
        "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')",
        params={"database": database},
    )
    columns: dict[str, dict[str, str]] = {table.name: {} for table in TABLES}
    for row in rows:
        if row["table"] in columns:
            columns[str(row["table"])][str(row["name"])] = str(row["type"])
    if missing := [name for name, found in columns.items() if not found]:
        raise KeytrailError(
            f"Database {database} has no table {', '.join(missing)}.",
            "Make the tables with `keytrail prepare`.",
        )
    return columns
