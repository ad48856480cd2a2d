"""What publishing and reading share of librdkafka: its producers, its log, and its errors in words."""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keytrail.schemas.errors import UsageError
from keytrail.schemas.settings import Settings

# librdkafka would write to stderr by itself; a service that wants to see it gives this logger a handler.
KAFKA_LOG = logging.getLogger("keytrail.kafka")
KAFKA_LOG.addHandler(logging.NullHandler())


def words_of(error: object) -> str:
    """A Kafka error as a phrase, without librdkafka's prefix or a closing dot."""
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    words = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return words.removeprefix("Local: ").rstrip(".")


# What a user's own properties may change; acknowledgement, idempotence and partitioning they may not.
_DEFAULTS: dict[str, str | int | bool] = {
    "compression.type": "zstd",
    "linger.ms": 10,
    "queue.buffering.max.messages": 100_000,
    "message.timeout.ms": 120_000,
    "socket.timeout.ms": 30_000,
}


def producer_for(
    settings: Settings,
    *,
    client_id: str,
    on_failure: Callable[[KafkaError | None, Message], None],
    on_error: Callable[[KafkaError], None],
    defaults: Mapping[str, str | int | bool] = MappingProxyType({}),
) -> tuple[Producer, Mapping[str, str | int | float | bool]]:
    """An idempotent producer that partitions as all of keytrail's do, and what it was configured with.

    Raises `UsageError` where the Kafka properties in `settings` are not librdkafka's.
    """
    config = {
        **_DEFAULTS,
        **defaults,
        **settings.kafka.client(
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            partitioner="murmur2_random",  # as Java's clients do, so that each subject has one partition
            delivery_report_only_error=True,
        ),
    }
    try:
        callbacks = {"on_delivery": on_failure, "error_cb": on_error}
        return Producer({**config, **callbacks}, logger=KAFKA_LOG), config
    except KafkaException as error:
        raise UsageError(
            f"Kafka's client refuses its settings: {words_of(error)}.", "Correct KEYTRAIL_KAFKA_*."
        ) from error
