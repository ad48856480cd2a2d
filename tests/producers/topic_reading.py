"""Reading back from Kafka what a test has published, from what was there when the tests began."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Consumer, Message, TopicPartition

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import EVENTS, Topic

Found = TypeVar("Found")
DEADLINE_S = 60
BEGAN_MS = int(time.time() * 1000) - 1000


def read_messages(
    settings: Settings, topic: Topic, wanted: Callable[[Message], bool], count: int
) -> list[Message]:
    """The first `count` messages that are wanted; those of one partition in order."""
    consumer = Consumer(settings.kafka.client(group_id="test-reader", enable_auto_commit=False))
    found: list[Message] = []
    end = time.monotonic() + DEADLINE_S
    try:
        partitions = consumer.list_topics(topic.name, DEADLINE_S).topics[topic.name].partitions
        starts = [TopicPartition(topic.name, number, BEGAN_MS) for number in partitions]
        consumer.assign(consumer.offsets_for_times(starts, DEADLINE_S))
        while len(found) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} messages within {DEADLINE_S} s"
            message = consumer.poll(1.0)
            if message is not None and message.error() is None and wanted(message):
                found.append(message)
    finally:
        consumer.close()
    return found


def read_events(settings: Settings, producer_id: str, count: int) -> list[tuple[Message, Event]]:
    """The first `count` events with this producer id, and the messages that carried them."""
    registry = Registry(settings.registry)
    schema = avro.parse(avro.schema_text("event"))
    decode = avro.decoder(Event, schema, schema)

    def event_in(message: Message) -> Event:
        value = message.value()
        assert value is not None
        schema_id = wire.schema_id_of(value)
        assert schema_id is not None
        assert avro.parse(registry.text_of(schema_id)) == schema
        return decode(value, wire.HEADER_LENGTH)

    def wanted(message: Message) -> bool:
        return producer_id.encode() in (message.value() or b"")

    return [(message, event_in(message)) for message in read_messages(settings, EVENTS, wanted, count)]
