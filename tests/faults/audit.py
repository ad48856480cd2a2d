"""What must be true at the end: nothing lost, nothing twice, in the tables and on the topic."""

from collections import Counter
from collections.abc import Callable

from confluent_kafka import Consumer, TopicPartition
from running import FindingRow, Pipeline

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.books import Books
from keytrail.sinks.clickhouse.http import ClickHouse

Revisions = Counter[tuple[str, int]]
_TIMEOUT_S = 60.0
_SHOWN = 3


class Audit:
    """Looks at a pipeline that has come to rest.  `problems` is what is wrong with it."""

    def __init__(self, pipeline: Pipeline, say: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._say = say
        self.problems: list[str] = []

    def run(self, sent: int, expected: set[FindingRow]) -> None:
        """`sent` events, each with an id of its own, whose findings are `expected`."""
        self._events(sent)
        self._findings(expected)
        self._anomalies()
        self._books()

    def _events(self, sent: int) -> None:
        rows, ids = self._pipeline.rows()
        self._say(f"events: {sent} sent, {rows} rows, {ids} ids: {sent - ids} lost, {rows - ids} doubled")
        if not rows == ids == sent:
            self.problems.append(f"{sent} events were sent, {rows} rows with {ids} ids are there")
        uneven = self._pipeline.clickhouse.rows(
            "SELECT source_partition, count() AS rows, uniqExact(source_offset) AS offsets FROM events"
            " GROUP BY source_partition HAVING rows != offsets"
        )
        if uneven:
            self.problems.append(f"source offsets that have two rows: {uneven}")

    def _findings(self, expected: set[FindingRow]) -> None:
        try:
            self._pipeline.wait_for_findings(expected)
        except AssertionError as error:
            self.problems.append(f"findings differ from an undisturbed run's: {error}")
        else:
            self._say(f"findings: {len(expected)}, identical with an undisturbed run's")

    def _anomalies(self) -> None:
        topic, table = _on_topic(self._pipeline.settings), _in_table(self._pipeline.clickhouse)
        doubled = {name: found.total() - len(found) for name, found in (("topic", topic), ("table", table))}
        self._say(f"anomaly records: {len(topic)} on the topic, {len(table)} in the table; doubled {doubled}")
        if any(doubled.values()):
            self.problems.append(f"anomaly records are there twice: {doubled}")
        if different := [*(topic - table), *(table - topic)][:_SHOWN]:
            self.problems.append(f"topic and table hold different anomaly records: {different}")
        revisions = Counter(anomaly_id for anomaly_id, _ in topic)
        if gaps := [name for name, number in topic if number > revisions[name]][:_SHOWN]:
            self.problems.append(f"findings lack a revision: {gaps}")

    def _books(self) -> None:
        with Books(self._pipeline.settings) as books:
            wrong = [balance for balance in books.check() if not balance.balanced or balance.behind]
        self._say(f"books: {wrong or 'balance'}")
        if wrong:
            self.problems.append(f"the books do not balance: {wrong}")


def _on_topic(settings: Settings) -> Revisions:
    """How often each revision of a finding is there for a subscriber who reads committed."""
    schema = avro.parse(avro.schema_text("anomaly"))
    decode = avro.decoder(Anomaly, schema, schema)
    consumer = Consumer(
        settings.kafka.client(
            group_id="keytrail-audit", enable_auto_commit=False, isolation_level="read_committed"
        )
    )
    found: Revisions = Counter()
    try:
        for p in consumer.list_topics(ANOMALIES.name, _TIMEOUT_S).topics[ANOMALIES.name].partitions:
            place = TopicPartition(ANOMALIES.name, p, 0)
            _, end = consumer.get_watermark_offsets(place, _TIMEOUT_S)
            consumer.assign([place])
            # Marks of transactions have offsets too: the position passes them, though no record comes.
            while consumer.position([place])[0].offset < end:
                for message in consumer.consume(10_000, 0.2):
                    assert message.error() is None, message.error()
                    anomaly = decode(message.value() or b"", wire.HEADER_LENGTH)
                    found[anomaly.anomaly_id, anomaly.revision] += 1
    finally:
        consumer.close()
    return found


def _in_table(clickhouse: ClickHouse) -> Revisions:
    rows = clickhouse.rows(
        "SELECT anomaly_id, revision, count() AS n FROM anomalies GROUP BY anomaly_id, revision"
    )
    return Counter({(str(row["anomaly_id"]), int(str(row["revision"]))): int(str(row["n"])) for row in rows})
