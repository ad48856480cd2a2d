"""Exactly once on real Kafka and ClickHouse, while sinks are killed and answers are lost."""

import random
import signal
import time
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from cutting_proxy import cutting_proxy
from sink_support import (
    DEADLINE_S,
    MONTH,
    NOON,
    Feed,
    Tables,
    anomaly,
    event,
    running_sink,
    sink_process,
    wait_until,
)

from keytrail.schemas import avro, topics
from keytrail.schemas.settings import HttpSettings, Settings
from keytrail.schemas.topics import SINK_GROUP
from keytrail.sinks.clickhouse.lanes import FlushRule
from keytrail.sinks.clickhouse.sink import SinkConfig
from keytrail.sinks.cluster import Cluster
from keytrail.sinks.lag import read_lag

SMALL = SinkConfig(flush=FlushRule(rows=500, age_s=0.05))


@pytest.fixture
def feed(settings: Settings) -> Feed:
    return Feed(settings)


@pytest.fixture
def tables(settings: Settings) -> Tables:
    return Tables(settings)


def of_several_months(service: str, number: int) -> list[dict[str, object]]:
    return [event(service, sequence=n, occurred_at=NOON + n % 3 * MONTH) for n in range(number)]


def test_a_sink_that_stops_and_starts(settings: Settings, feed: Feed, tables: Tables) -> None:
    for start in range(3):
        feed.events(of_several_months("faults-restart", 500), partition=start)
        with running_sink(settings):
            tables.await_events("faults-restart", 500 * (start + 1))
    assert tables.counts("faults-restart") == (1_500, 1_500)


def test_sinks_that_are_killed(settings: Settings, feed: Feed, tables: Tables) -> None:
    dice = random.Random(3)
    total = 0
    for _ in range(5):
        for partition in range(4):
            feed.events(of_several_months("faults-kill", 2_000), partition)
            total += 2_000
        process = sink_process(settings, "--instance", "killed")
        tables.await_events("faults-kill", total - 7_999)  # the first rows of this round
        time.sleep(dice.random() / 10)
        process.kill()
        process.communicate(timeout=DEADLINE_S)
    with running_sink(settings):
        tables.await_events("faults-kill", total)
    assert tables.counts("faults-kill") == (total, total)


def test_a_second_sink_takes_over(settings: Settings, feed: Feed, tables: Tables) -> None:
    first = sink_process(settings)
    feed.events(of_several_months("faults-two", 1_000), 0)
    tables.await_events("faults-two", 1_000)
    with running_sink(settings, SMALL):
        for partition in range(4):
            feed.events(of_several_months("faults-two", 3_000), partition)
        first.kill()
        first.communicate(timeout=DEADLINE_S)
        for partition in range(4):
            feed.events(of_several_months("faults-two", 1_000), partition)
        tables.await_events("faults-two", 17_000)
    assert tables.counts("faults-two") == (17_000, 17_000)


def test_a_sink_that_sleeps_while_another_takes_over(settings: Settings, feed: Feed, tables: Tables) -> None:
    sleeper = sink_process(settings)
    for partition in range(4):
        feed.events(of_several_months("faults-sleep", 5_000), partition)
    tables.await_events("faults-sleep", 1)
    sleeper.send_signal(signal.SIGSTOP)
    with running_sink(settings, SMALL):
        for partition in range(4):
            feed.events(of_several_months("faults-sleep", 1_000), partition)
        tables.await_events("faults-sleep", 24_000)
        sleeper.send_signal(signal.SIGCONT)
        for partition in range(4):
            feed.events(of_several_months("faults-sleep", 1_000), partition)
        tables.await_events("faults-sleep", 28_000)
        sleeper.terminate()
        sleeper.communicate(timeout=DEADLINE_S)
    assert tables.counts("faults-sleep") == (28_000, 28_000)


def test_answers_that_are_lost(settings: Settings, feed: Feed, tables: Tables) -> None:
    with cutting_proxy(settings.clickhouse.url, cut_share=0.1) as proxy:
        through_proxy = replace(settings, clickhouse=HttpSettings(proxy.url))
        with running_sink(through_proxy, SMALL):
            for partition in range(4):
                feed.events(of_several_months("faults-answers", 2_000), partition)
            tables.await_events("faults-answers", 8_000)
        assert proxy.cuts
    assert tables.counts("faults-answers") == (8_000, 8_000)


def test_clickhouse_is_away_for_a_while(settings: Settings, feed: Feed, tables: Tables) -> None:
    with cutting_proxy(settings.clickhouse.url) as proxy:
        through_proxy = replace(settings, clickhouse=HttpSettings(proxy.url))
        with running_sink(through_proxy, replace(SMALL, memory_bytes=1024 * 1024)):
            feed.events(of_several_months("faults-away", 500))
            tables.await_events("faults-away", 500)
            proxy.closed = True
            for partition in range(4):
                feed.events(of_several_months("faults-away", 3_000), partition)
            time.sleep(3)
            assert tables.counts("faults-away")[0] == 500
            proxy.closed = False
            tables.await_events("faults-away", 12_500)
    assert tables.counts("faults-away") == (12_500, 12_500)


def test_a_topic_that_is_deleted_and_made_anew(settings: Settings, feed: Feed, tables: Tables) -> None:
    admin = AdminClient(settings.kafka.client())
    name = topics.ANOMALIES.name
    partitions = Cluster(settings.kafka).topics([name])[name].partitions
    found = "SELECT count() AS n, uniqExact(kafka_incarnation) AS topics FROM anomalies WHERE rule = 'anew'"

    def rows() -> tuple[object, object]:
        (row,) = tables.clickhouse.rows(found)
        return row["n"], row["topics"]

    findings = [anomaly(anomaly_id=f"anew-{n}", rule="anew") for n in range(20)]
    with running_sink(settings):
        feed.records(topics.ANOMALIES, "anomaly", findings, key="one-partition")
        wait_until(lambda: rows() == (20, 1), "the first topic's rows")
        admin.delete_topics([name])[name].result(60)
        wait_until(lambda: name not in Cluster(settings.kafka).topics([name]), "the topic is gone")
        admin.create_topics([NewTopic(name, partitions, config=dict(topics.ANOMALIES.config))])[name].result(
            60
        )
        # More, and fewer, than the old topic held: an offset of the old one may exist in the new one.
        feed.records(topics.ANOMALIES, "anomaly", findings * 2, key="one-partition")
        wait_until(lambda: rows()[0] == 60, "the second topic's rows")
    assert rows() == (60, 2)


def test_bad_records_are_set_aside_and_block_nothing(settings: Settings, feed: Feed, tables: Tables) -> None:
    text = avro.schema_text("enriched")
    frame = feed.frame(topics.ENRICHED, text)

    def good() -> bytes:
        return frame + feed.datum(event("faults-bad"), text)

    bad = {
        b"\x00\x00": "bad_magic",
        b"plain text": "bad_magic",
        b"\x00\x7f\xff\xff\xff" + good()[5:]: "unknown_schema",
        frame + feed.datum(event("faults-bad", event_id="no-uuid"), text): "invalid_event",
        good()[:-3]: "torn_datum",
        good() + b"\x02\x02\x02": "torn_datum",
        frame: "torn_datum",
    }
    values: list[bytes | None] = [good() for _ in range(200)]
    for number, value in enumerate(bad):
        values.insert(30 * number, value)
    values.insert(100, None)
    feed.raw(topics.ENRICHED, values, partition=3)

    def letters() -> list[tuple[object, object]]:
        rows = tables.clickhouse.rows(
            "SELECT hex(value) AS value, reason, detail FROM dead_letters "
            "WHERE source_topic = 'keytrail.enriched' AND source_partition = 3"
        )
        return [(row["value"], row["reason"]) for row in rows]

    wanted = [(value.hex().upper(), reason) for value, reason in bad.items()]
    with running_sink(settings):
        tables.await_events("faults-bad", 200)
        wait_until(lambda: len(letters()) >= 8, "the dead letters")
        feed.raw(topics.ENRICHED, [good()], partition=3)
        tables.await_events("faults-bad", 201)
    with running_sink(settings):  # and none comes again
        feed.raw(topics.ENRICHED, [good()], partition=3)
        tables.await_events("faults-bad", 202)
    assert tables.counts("faults-bad") == (202, 202)
    assert sorted(map(str, letters())) == sorted(map(str, [*wanted, (None, "null_value")]))
    details = {str(row["detail"]) for row in tables.clickhouse.rows("SELECT detail FROM dead_letters")}
    assert not [detail for detail in details if "no-uuid" in detail]


def test_a_sink_that_is_told_to_stop_leaves_with_nothing_undone(
    settings: Settings, feed: Feed, tables: Tables
) -> None:
    process = sink_process(settings)
    feed.events([event("faults-stop") for _ in range(100)])
    tables.await_events("faults-stop", 100)

    def lag() -> int:
        return sum(lag.lag for lag in read_lag(settings.kafka) if lag.stage == "sink")

    wait_until(lambda: lag() == 0, "everything is committed")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert not members(settings)


def test_a_sink_that_is_told_to_stop_while_clickhouse_is_away_leaves_too(
    settings: Settings, feed: Feed, tables: Tables
) -> None:
    with cutting_proxy(settings.clickhouse.url) as proxy:
        process = sink_process(replace(settings, clickhouse=HttpSettings(proxy.url)))
        feed.events([event("faults-stop-away")])
        tables.await_events("faults-stop-away", 1)
        proxy.closed = True
        feed.events([event("faults-stop-away") for _ in range(100)])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert not members(settings)
    with running_sink(settings):
        tables.await_events("faults-stop-away", 101)
    assert tables.counts("faults-stop-away") == (101, 101)


def members(settings: Settings) -> list[object]:
    admin = AdminClient(settings.kafka.client())
    return list(admin.describe_consumer_groups([SINK_GROUP])[SINK_GROUP].result(60).members)
