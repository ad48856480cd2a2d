"""Reading a partition of a compacted topic from its beginning to its present end."""

from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from keytrail.schemas.settings import KafkaSettings
from keytrail.stream.worker.span import read_span


def read_to_end(kafka: KafkaSettings, topic: str, partition: int) -> Iterator[tuple[bytes, bytes | None]]:
    """The committed records as (key, value), in order; a None value says that the key is gone.

    Blocks.  Raises `UnavailableError` where the broker is silent for 30 seconds.
    """
    for message in read_span(kafka, TopicPartition(topic, partition, OFFSET_BEGINNING)):
        yield message.key() or b"", message.value()
