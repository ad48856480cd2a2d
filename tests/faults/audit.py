"""What must be true at the end: nothing lost, nothing twice, in the tables and on the topic."""

from collections import Counter

from confluent_kafka import Consumer, TopicPartition

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.clickhouse.http import ClickHouse

Revision = tuple[str, int]
_TIMEOUT_S = 60.0


def anomalies_on_topic(settings: Settings) -> Counter[Revision]:
    """How often each revision of a finding is there for a subscriber who reads committed."""
    decode = avro.decoder(
        Anomaly, avro.parse(avro.schema_text("anomaly")), avro.parse(avro.schema_text("anomaly"))
    )
    consumer = Consumer(
        settings.kafka.client(
            group_id="keytrail-audit", enable_auto_commit=False, isolation_level="read_committed"
        )
    )
    found: Counter[Revision] = Counter()
    try:
        partitions = consumer.list_topics(ANOMALIES.name, _TIMEOUT_S).topics[ANOMALIES.name].partitions
        for p in partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(ANOMALIES.name, p), _TIMEOUT_S)
            consumer.assign([TopicPartition(ANOMALIES.name, p, 0)])
            # Marks of transactions have offsets too: `position` passes them, no message does.
            while consumer.position([TopicPartition(ANOMALIES.name, p)])[0].offset < end:
                for message in consumer.consume(10_000, 0.2):
                    assert message.error() is None, message.error()
                    anomaly = decode(message.value() or b"", wire.HEADER_LENGTH)
                    found[anomaly.anomaly_id, anomaly.revision] += 1
    finally:
        consumer.close()
    return found


def anomalies_in_table(clickhouse: ClickHouse) -> Counter[Revision]:
    rows = clickhouse.rows(
        "SELECT anomaly_id, revision, count() AS n FROM anomalies GROUP BY anomaly_id, revision"
    )
    return Counter({(str(row["anomaly_id"]), int(str(row["revision"]))): int(str(row["n"])) for row in rows})


def unbalanced_partitions(clickhouse: ClickHouse) -> list[object]:
    """Partitions in which a source offset is missing or there twice."""
    rows = clickhouse.rows(
        "SELECT source_partition AS p, count() AS n, uniqExact(source_offset) AS offsets FROM events GROUP BY p"
    )
    return [row for row in rows if row["n"] != row["offsets"]]
