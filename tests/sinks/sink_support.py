"""Records for the topics, sinks to move them, and waiting for what comes of it."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import fastavro
from confluent_kafka import Producer
from waiting import DEADLINE_S, wait_until

from keytrail.producers.ids import UuidV7
from keytrail.schemas import avro, topics, wire
from keytrail.schemas.records import Anomaly, Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import Topic
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.run import make_sink
from keytrail.sinks.clickhouse.sink import Sink, SinkConfig

NOON = 1_750_000_000_000_000  # 15 June 2025
MONTH = 31 * 86_400 * 1_000_000


def event(service: str, **fields: Any) -> dict[str, Any]:
    """An enriched event as a mapping; `service` is the test's own mark."""
    return {
        "event_id": UuidV7()(),
        "occurred_at": NOON,
        "recorded_at": NOON,
        "service": service,
        "actor_id": "ada",
        "action": "grant",
        **fields,
    }


def anomaly(**fields: Any) -> Anomaly:
    first = Anomaly(
        anomaly_id="a-1",
        revision=1,
        rule="privileged_grant",
        rule_version=1,
        severity="high",
        status="open",
        entity_type="subject",
        entity="eve",
        cause="AdministratorAccess",
        first_seen=Micros(NOON),
        last_seen=Micros(NOON + 61_000_000),
        count=2,
        evidence=["e-1", "e-2"],
        summary="AdministratorAccess was granted to eve by ada without approval.",
        remedy="Revoke it.",
        technique=None,
        policy_version="p-1",
        details={"granted_by": "ada"},
        emitted_at=Micros(NOON),
    )
    return replace(first, **fields)


class Feed:
    """Writes records to the topics, as the worker would."""

    def __init__(self, settings: Settings) -> None:
        self.registry = Registry(settings.registry)
        self.producer = Producer(settings.kafka.client(enable_idempotence=True, linger_ms=5))

    def frame(self, topic: Topic, text: str) -> bytes:
        return wire.frame(self.registry.register(topic, text))

    def datum(self, record: Mapping[str, Any], text: str) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, avro.parse(text), dict(record))
        return buffer.getvalue()

    def events(
        self, records: Iterable[Mapping[str, Any]], partition: int = 0, text: str | None = None
    ) -> None:
        text = text or avro.schema_text("enriched")
        frame = self.frame(topics.ENRICHED, text)
        self.raw(topics.ENRICHED, [frame + self.datum(record, text) for record in records], partition)

    def records(self, topic: Topic, schema: str, records: Iterable[object], key: str = "k") -> None:
        text = avro.schema_text(schema)
        frame, encode = self.frame(topic, text), avro.encoder(avro.parse(text))
        for record in records:
            self.producer.produce(topic.name, frame + encode(record), key)
        assert self.producer.flush(DEADLINE_S) == 0

    def raw(self, topic: Topic, values: Iterable[bytes | None], partition: int = 0) -> None:
        for value in values:
            self.producer.produce(topic.name, value, b"k", partition)
            self.producer.poll(0)
        assert self.producer.flush(DEADLINE_S) == 0


class Tables:
    """What is in ClickHouse."""

    def __init__(self, settings: Settings) -> None:
        self.clickhouse = ClickHouse(settings.clickhouse, database=settings.database)

    def events_of(self, service: str, columns: str = "*") -> list[Mapping[str, Any]]:
        return list(
            self.clickhouse.rows(
                f"SELECT {columns} FROM events WHERE service = {{service:String}} "
                "ORDER BY kafka_partition, kafka_offset",
                params={"service": service},
            )
        )

    def counts(self, service: str) -> tuple[int, int]:
        """Rows, and different events among them."""
        (row,) = self.clickhouse.rows(
            "SELECT count() AS rows, uniqExact(event_id) AS events FROM events WHERE service = {s:String}",
            params={"s": service},
        )
        return int(str(row["rows"])), int(str(row["events"]))

    def await_events(self, service: str, number: int) -> None:
        wait_until(lambda: self.counts(service)[0] >= number, f"{number} events of {service}")


@contextmanager
def running_sink(settings: Settings, config: SinkConfig | None = None) -> Iterator[Sink]:
    """A sink in a thread; what it raised is raised at the end."""
    sink = make_sink(settings, config or SinkConfig(), Patience())
    failed: list[BaseException] = []

    def run() -> None:
        try:
            sink.run()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=run, name="sink-under-test")
    thread.start()
    try:
        yield sink
    finally:
        sink.stop()
        thread.join(DEADLINE_S)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def sink_process(settings: Settings, *flags: str) -> subprocess.Popen[bytes]:
    """`keytrail sink` as it is typed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("KEYTRAIL_")}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "keytrail.cli.main", "sink", *flags),
            *("--kafka", settings.kafka.bootstrap),
            *("--registry", settings.registry.url),
            *("--clickhouse", settings.clickhouse.url),
        ],
        env={**env, "KEYTRAIL_CLICKHOUSE_DATABASE": settings.database},
        stderr=subprocess.PIPE,
    )
