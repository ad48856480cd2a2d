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
from keytrail.schemas.topics import ALL_TOPICS, EVENTS, SIGNALS, Topic
from keytrail.stream.backtest.history import History

_CLOCK = "message.timestamp.type"
_DAY_MS = 24 * 3600 * 1000


def _set_clock(settings: Settings, clock: str, topic: Topic = EVENTS) -> None:
    entry = ConfigEntry(_CLOCK, clock, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    admin = AdminClient(settings.kafka.client())
    [altered] = admin.incremental_alter_configs([resource]).values()
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


@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.name)
@pytest.mark.parametrize("days", [-400, 1])
def test_what_is_written_by_a_wrong_clock_is_taken_and_has_the_brokers_time(
    settings: Settings, topic: Topic, days: int
) -> None:
    began = time.time_ns() // 1_000_000
    kind, at = _taken(settings, topic, began + days * _DAY_MS) or (None, 0)
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert began <= at <= time.time_ns() // 1_000_000


def test_topics_of_an_earlier_version_take_it_too(settings: Settings) -> None:
    """Signals, say: a worker whose clock is ahead could commit none."""
    ahead = time.time_ns() // 1_000_000 + _DAY_MS
    _set_clock(settings, "CreateTime", SIGNALS)
    wait_until(lambda: _taken(settings, SIGNALS, ahead) is None, "the producers' clocks")
    assert create_topics(settings.kafka) == []
    wait_until(lambda: _taken(settings, SIGNALS, ahead) is not None, "the broker's clock")


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


def _taken(settings: Settings, topic: Topic, timestamp: int) -> tuple[int, int] | None:
    """Whose time the record has, and which, that a worker would write then; None where the broker refuses it.

    The transaction is given up, so that nobody reads it.
    """
    taken: list[tuple[int, int] | None] = []

    def delivered(error: object, message: Message) -> None:
        taken.append(message.timestamp() if error is None else None)

    writer = Producer(settings.kafka.client(transactional_id="a wrong clock"))
    writer.init_transactions(60)
    writer.begin_transaction()
    writer.produce(topic.name, b"{}", b"k", partition=0, timestamp=timestamp, on_delivery=delivered)
    assert writer.flush(60) == 0
    writer.abort_transaction(60)
    return taken[0]
