"""Topics as they are laid out in a real Kafka."""

import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

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
    producer.produce(EVENTS.name, b"by its own clock", partition=0, timestamp=began - _DAY_MS)
    assert producer.flush(60) == 0
    assert create_topics(settings.kafka) == []
    assert _clock(settings) == "LogAppendTime"
    # A broker refuses what is more than an hour ahead of it, where it keeps producers' times.
    producer.produce(EVENTS.name, b"a day ahead", partition=0, timestamp=began + _DAY_MS)
    assert producer.flush(60) == 0
    ended = time.time_ns() // 1_000_000

    history = History(settings.kafka)
    arrived = {past.record.value: past.record.arrived for past in history.events(history.spans(None, None))}
    assert arrived[b"by its own clock"] is None
    came = arrived[b"a day ahead"]
    assert came is not None
    assert began <= came // 1000 <= ended
