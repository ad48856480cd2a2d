"""Topics as they are laid out in a real Kafka."""

import time

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from waiting import wait_until

from keytrail.deploy import topics
from keytrail.deploy.topics import create_topics
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import EVENTS
from keytrail.stream.backtest.history import History

_CLOCK = "message.timestamp.type"
_DAY_MS = 24 * 3600 * 1000


def _set_clock(settings: Settings, clock: str) -> None:
    entry = ConfigEntry(_CLOCK, clock, incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, EVENTS.name, incremental_configs=[entry])
    admin = AdminClient(settings.kafka.client())
    [altered] = admin.incremental_alter_configs([topic]).values()
    altered.result()


def _clock(settings: Settings) -> str:
    topic = ConfigResource(ResourceType.TOPIC, EVENTS.name)
    admin = AdminClient(settings.kafka.client())
    [described] = admin.describe_configs([topic]).values()
    return str(described.result()[_CLOCK].value)


def test_events_go_by_the_brokers_clock_also_in_a_topic_of_an_earlier_version(settings: Settings) -> None:
    assert _clock(settings) == "LogAppendTime"
    _set_clock(settings, "CreateTime")
    producer = Producer(settings.kafka.client())
    began = time.time_ns() // 1_000_000
    # A broker answers before it goes by what was altered.
    wait_until(lambda: _kind_of(producer, began) == TIMESTAMP_CREATE_TIME, "the producers' clocks")
    assert create_topics(settings.kafka) == []
    assert _clock(settings) == "LogAppendTime"
    # A broker refuses what is more than an hour ahead of it, where it keeps producers' times.
    wait_until(lambda: _kind_of(producer, began + _DAY_MS) == TIMESTAMP_LOG_APPEND_TIME, "the broker's clock")
    ended = time.time_ns() // 1_000_000

    history = History(settings.kafka)
    arrived = [past.record.arrived for past in history.events(history.spans(None, None))]
    assert None in arrived
    came = arrived[-1]
    assert came is not None
    assert began <= came // 1000 <= ended


def test_a_clock_that_cannot_be_set_is_told_and_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(topics, "BROKERS_TIME", {_CLOCK: "no such clock"})
    assert create_topics(settings.kafka) == []
    assert "cannot be seen or set" in caplog.text
    assert f"{_CLOCK}=no such clock" in caplog.text
    assert _clock(settings) == "LogAppendTime"


def _kind_of(producer: Producer, timestamp: int) -> int | None:
    """By whose clock a record that is sent now has its time; None where the broker refuses it."""
    kinds: list[int | None] = []

    def delivered(error: object, message: Message) -> None:
        kinds.append(message.timestamp()[0] if error is None else None)

    producer.produce(EVENTS.name, b"a record", partition=0, timestamp=timestamp, on_delivery=delivered)
    assert producer.flush(60) == 0
    return kinds[0]
