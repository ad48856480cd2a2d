"""From the topics into the tables: each record one row, as it was, with where it came from."""

import json
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer
from sink_support import MONTH, NOON, Feed, Tables, anomaly, event, running_sink, wait_until

from keytrail.schemas import avro, topics, wire
from keytrail.schemas.records import DeadLetter, Header, Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.cluster import Cluster

HOSTILE = [
    "'; DROP TABLE events; --",
    "\x1b[2J\x00\x07",
    "\\N\t\n\\",
    "нет ключа 🔑",
    "\u202eevil",
    "x" * 100_000,
]


@pytest.fixture
def feed(settings: Settings) -> Feed:
    return Feed(settings)


@pytest.fixture
def tables(settings: Settings) -> Tables:
    return Tables(settings)


def test_a_row_is_its_record_with_its_place(settings: Settings, feed: Feed, tables: Tables) -> None:
    full = event(
        "rows-full",
        key_id="key-1",
        permissions=["iam:Read", "iam:Write"],
        expires_at=NOON + MONTH,
        attributes={"team": "payments", "": "empty name"},
        findings=["missing_reason"],
        sequence=-7,
        source_offset=2**40,
        key_status="active",
    )
    feed.events([full, event("rows-bare")], partition=2)
    with running_sink(settings):
        tables.await_events("rows-full", 1)
        tables.await_events("rows-bare", 1)
    (row,) = tables.events_of("rows-full")
    for name in ("event_id", "key_id", "permissions", "attributes", "findings", "sequence", "source_offset"):
        assert row[name] == full[name], name
    assert row["occurred_at"] == "2025-06-15 15:06:40.000000"
    assert row["expires_at"].startswith("2025-07-16")
    (bare,) = tables.events_of("rows-bare")
    absent: dict[str, Any] = {"subject": "", "role": "", "reason": "", "permissions": [], "attributes": {}}
    assert {name: bare[name] for name in absent} == absent
    assert bare["expires_at"] is None
    assert (bare["key_status"], bare["outcome"]) == ("none", "success")
    incarnation = Cluster(settings.kafka).topics([topics.ENRICHED.name])[topics.ENRICHED.name].incarnation
    assert (bare["kafka_partition"], bare["kafka_incarnation"]) == (2, incarnation)
    assert bare["kafka_offset"] == row["kafka_offset"] + 1


def test_hostile_text_is_carried_unchanged(settings: Settings, feed: Feed, tables: Tables) -> None:
    feed.events(
        event("rows-hostile", subject=text, role=text, user_agent=text, reason=text) for text in HOSTILE
    )
    with running_sink(settings):
        tables.await_events("rows-hostile", len(HOSTILE))
    rows = tables.events_of("rows-hostile")
    for name in ("subject", "role", "user_agent", "reason"):
        assert [row[name] for row in rows] == HOSTILE


def test_times_of_no_calendar_are_carried(settings: Settings, feed: Feed, tables: Tables) -> None:
    times = [-(2**63), -1, 0, 253_402_300_799_000_000, 2**63 - 1, *(NOON + n * MONTH for n in range(150))]
    feed.events(event("rows-times", occurred_at=time) for time in times)
    with running_sink(settings):
        tables.await_events("rows-times", len(times))
    rows = tables.events_of("rows-times", "toUnixTimestamp64Micro(occurred_at) AS at")
    assert [row["at"] for row in rows] == times


def test_writers_of_several_versions_share_a_block(settings: Settings, feed: Feed, tables: Tables) -> None:
    newer = json.loads(avro.schema_text("enriched"))
    newer["fields"].append({"name": "of_a_later_version", "type": ["null", "string"], "default": None})
    older = json.loads(avro.schema_text("enriched"))
    older["fields"] = [field for field in older["fields"] if field["name"] not in ("enriched_at", "ticket")]
    writers = [json.dumps(newer), json.dumps(older), avro.schema_text("enriched")]
    frames = [feed.frame(topics.ENRICHED, text) for text in writers]
    values = []
    for number in range(300):
        record = event("rows-versions", sequence=number, reason="why", ticket="T-1", of_a_later_version="x")
        values.append(frames[number % 3] + feed.datum(record, writers[number % 3]))
    feed.raw(topics.ENRICHED, values)
    with running_sink(settings):
        tables.await_events("rows-versions", 300)
    rows = tables.events_of("rows-versions", "sequence, ticket, reason")
    assert [row["sequence"] for row in rows] == list(range(300))
    assert [row["ticket"] for row in rows] == ["T-1", "", "T-1"] * 100
    assert {row["reason"] for row in rows} == {"why"}


def test_only_committed_transactions_land(settings: Settings, feed: Feed, tables: Tables) -> None:
    producer = Producer(settings.kafka.client(transactional_id="rows-transactions"))
    producer.init_transactions(60)
    text = avro.schema_text("enriched")
    frame = feed.frame(topics.ENRICHED, text)
    for number, commit in enumerate([True, False, True, False]):
        producer.begin_transaction()
        record = event("rows-transactions", sequence=number)
        producer.produce(topics.ENRICHED.name, frame + feed.datum(record, text), b"k", 1)
        producer.flush(60)
        if commit:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)
    with running_sink(settings):
        tables.await_events("rows-transactions", 2)
    assert [row["sequence"] for row in tables.events_of("rows-transactions", "sequence")] == [0, 2]


def test_findings_keys_and_dead_letters_land_too(settings: Settings, feed: Feed, tables: Tables) -> None:
    feed.records(topics.ANOMALIES, "anomaly", [anomaly(anomaly_id="rows-a", revision=n) for n in (1, 2)])
    key = Key("rows-key", 1, "human", "ada", None, "active", Micros(NOON), scope_roles=["reader-*"])
    feed.records(topics.KEYS, "key", [key, replace(key, version=2, status="revoked")])
    feed.producer.produce(topics.KEYS.name, None, b"a-key-that-was-deleted")
    letter = DeadLetter(
        *("keytrail.events", 1, 77, Micros(NOON), "torn_datum", "", "", 5, b"\xff", b"\x00\xfe"),
        headers=[Header("trace", b"\x01"), Header("none", None)],
        failed_at=Micros(NOON),
    )
    feed.records(topics.DEAD_LETTERS, "deadletter", [letter])
    rows = tables.clickhouse.rows
    with running_sink(settings):
        wait_until(
            lambda: rows("SELECT 1 FROM anomalies WHERE anomaly_id = 'rows-a' AND revision = 2"), "anomalies"
        )
        wait_until(lambda: rows("SELECT 1 FROM keys WHERE key_id = 'rows-key' AND version = 2"), "keys")
        wait_until(lambda: rows("SELECT 1 FROM dead_letters WHERE source_offset = 77"), "dead letters")
    (current,) = rows("SELECT * FROM anomalies_current WHERE anomaly_id = 'rows-a'")
    assert (current["revision"], current["evidence"], current["technique"]) == (2, ["e-1", "e-2"], "")
    assert not rows("SELECT 1 FROM keys_current WHERE key_id = 'rows-key' AND status = 'active'")
    (found,) = rows(
        "SELECT hex(key) AS key, hex(value) AS value, schema_id, "
        "headers.name AS names, headers.value AS values FROM dead_letters WHERE source_offset = 77"
    )
    assert found == {
        "key": "FF",
        "value": "00FE",
        "schema_id": 5,
        "names": ["trace", "none"],
        "values": ["\x01", None],
    }


def test_the_wire_format_is_what_the_tests_write() -> None:
    assert wire.schema_id_of(wire.frame(7) + b"x") == 7
