"""`keytrail prepare`: everything the pipeline needs in Kafka, the registry and ClickHouse before it runs."""

import argparse

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import progress
from keytrail.deploy.topics import create_topics
from keytrail.schemas import avro
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import (
    ANOMALIES,
    DEAD_LETTERS,
    DEFAULT_PARTITIONS,
    ENRICHED,
    EVENTS,
    KEYS,
    SIGNALS,
)
from keytrail.sinks.clickhouse.migrate import migrate

SCHEMAS = {
    EVENTS: "event",
    ENRICHED: "enriched",
    KEYS: "key",
    SIGNALS: "signal",
    ANOMALIES: "anomaly",
    DEAD_LETTERS: "deadletter",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--partitions",
        type=int,
        default=DEFAULT_PARTITIONS,
        metavar="N",
        help="partitions of new topics (%(default)s); it cannot be changed later",
    )
    parser.add_argument(
        "--replication",
        type=int,
        default=-1,
        metavar="N",
        help="replicas of new topics (the broker's default)",
    )


def run(options: argparse.Namespace) -> int:
    prepare(settings_from(options), options.partitions, options.replication)
    return 0


def prepare(settings: Settings, partitions: int = DEFAULT_PARTITIONS, replication: int = -1) -> None:
    """Create topics, register schemas, migrate tables.  What is there stays, but for the events' clock."""
    if created := create_topics(settings.kafka, partitions, replication):
        progress(f"Topics created: {', '.join(created)}.")
    registry = Registry(settings.registry)
    for topic, schema in SCHEMAS.items():
        registry.register(topic, avro.schema_text(schema))
    migrate(settings)
