"""Reading a partition of a compacted topic from its beginning to its present end."""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings

_SILENCE_S = 30.0
# The client connects again by itself; silence is what ends the wait.
_PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
_POLL_S = 0.05
_BATCH = 10_000


def read_to_end(kafka: KafkaSettings, topic: str, partition: int) -> Iterator[tuple[bytes, bytes | None]]:
    """The committed records as (key, value), in order; a None value says that the key is gone.

    Blocks.  Raises `UnavailableError` where the broker is silent for 30 seconds.
    """
    consumer = Consumer(
        kafka.reader(
            group_id="keytrail-reader",
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
        )
    )
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        heard = monotonic()
        while True:
            # `consume` waits for a full batch, so it gets little time.
            messages = consumer.consume(_BATCH, _POLL_S)
            if any(message.error() is None for message in messages):
                heard = monotonic()
            elif monotonic() - heard > _SILENCE_S:
                raise UnavailableError(
                    f"Kafka at {kafka.bootstrap} was silent for {_SILENCE_S:.0f} s while {topic}/{partition} "
                    "was read.",
                    "See whether the broker runs.",
                )
            for message in messages:
                error = message.error()
                if error is None:
                    yield message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif error.code() not in _PASSING:
                    raise UnavailableError(f"{topic}/{partition} cannot be read: {error.str()}.")
    finally:
        consumer.close()
