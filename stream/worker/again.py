"""Reading single records of a partition once more, by their offsets."""

from collections.abc import Iterator, Sequence
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.worker.group_member import FetchedRecord

_SILENCE_S = 30.0
_POLL_S = 0.05
_BATCH = 1_000
# What lies between two wanted records is read through, unless it is more than this.
_FAR = 5_000


def read_again(
    kafka: KafkaSettings, topic: str, partition: int, offsets: Sequence[int]
) -> Iterator[SourceRecord]:
    """The committed records at these offsets, which rise; those that are no longer there are left out.

    Blocks.  Raises `UnavailableError` where the broker is silent for 30 seconds.
    """
    if not offsets:
        return
    consumer = Consumer(
        kafka.reader(
            group_id="keytrail-reader",
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            auto_offset_reset="earliest",  # where retention has taken the wanted ones
            fetch_wait_max_ms=20,
        )
    )
    try:
        for run in _runs(offsets):
            yield from _read(consumer, TopicPartition(topic, partition, run[0]), set(run), run[-1])
    except KafkaException as error:
        raise _unavailable(topic, partition, error.args[0].str()) from error
    finally:
        consumer.close()


def _read(consumer: Consumer, begin: TopicPartition, wanted: set[int], last: int) -> Iterator[SourceRecord]:
    consumer.assign([begin])
    heard = monotonic()
    while True:
        # `consume` waits for a full batch, so it gets little time.
        messages = consumer.consume(_BATCH, _POLL_S)
        if messages:
            heard = monotonic()
        elif monotonic() - heard > _SILENCE_S:
            raise _unavailable(begin.topic, begin.partition, "the broker is silent")
        for message in messages:
            error, offset = message.error(), message.offset()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None or offset is None:
                continue  # the client connects again by itself; silence is what ends the wait
            if offset in wanted:
                yield FetchedRecord(message)
            if offset >= last:
                return


def _runs(offsets: Sequence[int]) -> Iterator[Sequence[int]]:
    start = 0
    for at in range(1, len(offsets)):
        if offsets[at] - offsets[at - 1] > _FAR:
            yield offsets[start:at]
            start = at
    yield offsets[start:]


def _unavailable(topic: str, partition: int, why: str) -> UnavailableError:
    return UnavailableError(f"{topic}/{partition} cannot be read: {why}.", "See whether Kafka runs.")
