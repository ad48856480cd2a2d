"""The findings: the latest state of each from ClickHouse, or every record from the topic."""

import uuid
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition

from keytrail.cli.output import progress
from keytrail.schemas import topics
from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.records import Anomaly
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.sinks.anomaly_decoder import AnomalyDecoder
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.cluster import Cluster, Place

_POLL_S = 0.5
_TIMES = {"first_seen", "last_seen", "emitted_at"}


def read_current(settings: Settings) -> list[Anomaly]:
    """The latest state of every finding, in no order."""
    columns = ", ".join(
        f"toUnixTimestamp64Micro({field.name}) AS {field.name}" if field.name in _TIMES else field.name
        for field in fields(Anomaly)
    )
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    rows = clickhouse.rows(f"SELECT {columns} FROM anomalies_current")  # noqa: S608 - the record's own fields
    return [Anomaly(**cast(dict[str, Any], row)) for row in rows]


def follow(settings: Settings, *, from_beginning: bool) -> Iterator[Anomaly]:
    """Every record of the topic from now on, or from its first one, for ever.

    Records of transactions that were broken off are not seen.
    """
    cluster = Cluster(settings.kafka)
    name = topics.ANOMALIES.name
    state = cluster.topics([name]).get(name)
    if state is None:
        raise UnavailableError(f"The topic {name} does not exist.", "Create it with `keytrail prepare`.")
    places = [Place(name, number) for number in range(state.partitions)]
    starts = cluster.beginnings(places) if from_beginning else cluster.ends(places)
    consumer = Consumer(
        settings.kafka.reader(
            group_id=f"keytrail-anomalies-{uuid.uuid4()}",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
    )
    try:
        consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        decode = AnomalyDecoder(Registry(settings.registry))
        while True:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            if error := message.error():
                _on_error(error)
            elif (value := message.value()) is not None and (anomaly := _read(value, decode)):
                yield anomaly
    finally:
        consumer.close()


def _read(value: bytes, decode: AnomalyDecoder) -> Anomaly | None:
    try:
        return decode(value)
    except SchemaError as error:
        progress(f"{error.message} It is passed over.")
        return None


def _on_error(error: KafkaError) -> None:
    if error.fatal():
        raise UnavailableError(f"Kafka: {error.str()}.", "Start the command again.")
    progress(f"Kafka: {error.str()}; waiting.")
