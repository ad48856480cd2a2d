"""Puts a sink together from the settings."""

import logging
import time
import uuid
from time import monotonic

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
from keytrail.sinks.clickhouse.table_columns import TableColumns
from keytrail.sinks.clickhouse.tables import BY_TOPIC
from keytrail.sinks.cluster import Cluster

_log = logging.getLogger("keytrail.sink")


def make_sink(settings: Settings, config: SinkConfig, patience: Patience) -> Sink:
    """A sink that is ready to run; waits for ClickHouse as long as it takes.

    `patience` is what waits; stopping it ends this wait too, with a `StoppedError`.  Raises
    `KeytrailError` where a table is missing.
    """
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    columns = patience.until_answered("start", lambda: TableColumns(clickhouse, settings.database, monotonic))
    cluster = Cluster(settings.kafka)
    registry = Registry(settings.registry)
    incarnations = Incarnations(cluster, list(BY_TOPIC), monotonic)
    claims = Claims(clickhouse, uuid.uuid4, patience.wait)
    inserts = Inserts(clickhouse, claims, columns, patience)
    set_aside = SetAside(settings.kafka, registry, lambda: Micros(time.time_ns() // 1000))
    opening = Opening(cluster, incarnations, claims, config.group, monotonic, patience)
    shipping = Shipping(registry, incarnations, inserts, set_aside, columns, patience)
    return Sink(settings.kafka, config, opening, shipping, incarnations, patience)
