"""Reading a stretch of one partition, up to an end that is known before."""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from keytrail.schemas.damage import is_damage
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings

_SILENCE_S = 30.0
# The client connects again by itself; silence is what ends the wait.
_PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
_POLL_S = 0.05
_BATCH = 10_000


def read_span(kafka: KafkaSettings, begin: TopicPartition, end: int | None = None) -> Iterator[Message]:
    """The committed records from `begin` on, in order: those before offset `end`, or all there are now.

    Blocks.  Raises `UnavailableError` where the broker is silent for 30 seconds, or a batch is damaged.
    """
    consumer = Consumer(
        kafka.reader(
            group_id="keytrail-reader",
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            auto_offset_reset="earliest",  # where retention has taken the first ones
        )
    )
    place = f"{begin.topic}/{begin.partition}"
    try:
        consumer.assign([begin])
        heard = monotonic()
        while True:
            # `consume` waits for a full batch, so it gets little time.
            messages = consumer.consume(_BATCH, _POLL_S)
            are_records = any(message.error() is None for message in messages)
            if not are_records and monotonic() - heard > _SILENCE_S:
                raise UnavailableError(
                    f"Kafka at {kafka.bootstrap} was silent for {_SILENCE_S:.0f} s while {place} was read.",
                    "See whether the broker runs.",
                )
            for message in messages:
                error, offset = message.error(), message.offset()
                if error is None:
                    if end is not None and offset is not None and offset >= end:
                        return
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif error.code() not in _PASSING:
                    raise UnavailableError(f"{place} cannot be read: {error.str()}.", _remedy(error))
            if are_records:
                heard = monotonic()  # the caller's own time between two records is no silence
    finally:
        consumer.close()


def _remedy(error: KafkaError) -> str:
    return "Restore the log segment from another replica or a backup." if is_damage(error) else ""
