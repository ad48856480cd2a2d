"""What publishing and reading share of librdkafka: its log, and its errors in words."""

import logging

from confluent_kafka import KafkaError, KafkaException

# librdkafka would write to stderr by itself; a service that wants to see it gives this logger a handler.
KAFKA_LOG = logging.getLogger("keytrail.kafka")
KAFKA_LOG.addHandler(logging.NullHandler())


def words_of(error: object) -> str:
    """A Kafka error as a phrase, without librdkafka's prefix or a closing dot."""
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    words = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return words.removeprefix("Local: ").rstrip(".")
