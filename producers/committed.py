"""Reading a whole topic once: what is committed in it now, and no further."""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings

_TIMEOUT_S = 30.0
_POLL_S = 0.05
_BATCH = 1_000


def read_committed(kafka: KafkaSettings, topic: str) -> Iterator[Message]:
    """Every record that is committed when the first is asked for; those of one partition in order.

    What is written later is left out, so that the caller may write to the same topic meanwhile.  A commit may
    be seen a moment after it returned to its producer.  Blocks.
    Raises `UnavailableError` where the topic is not there, or Kafka is silent for 30 seconds.
    """
    consumer = Consumer(
        kafka.reader(
            group_id="keytrail-replay",  # required, though nothing is ever committed under it
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            fetch_wait_max_ms=20,  # the end of a partition is told only after this wait
        ),
        logger=KAFKA_LOG,
    )
    try:
        yield from _messages(consumer, topic)
    except KafkaException as error:
        raise _unavailable(topic, words_of(error)) from error
    finally:
        consumer.close()


def _messages(consumer: Consumer, topic: str) -> Iterator[Message]:
    found = consumer.list_topics(topic, _TIMEOUT_S).topics[topic]
    if found.error is not None:
        raise _unavailable(topic, words_of(found.error))
    ends = {}
    for number in found.partitions:
        _, ends[number] = consumer.get_watermark_offsets(TopicPartition(topic, number), _TIMEOUT_S)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
    heard, trouble = monotonic(), "it sends nothing"
    while ends:
        # `consume` waits for a full batch, so it gets little time.
        messages = consumer.consume(_BATCH, _POLL_S)
        if messages:
            heard = monotonic()
        elif monotonic() - heard > _TIMEOUT_S:
            raise _unavailable(topic, trouble)
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                trouble = words_of(error)
            elif partition in ends and offset is not None:
                # Behind the last record there may be marks of transactions: then the end itself is told.
                if error is None and offset < ends[partition]:
                    yield message
                if offset >= ends[partition] - (error is None):
                    del ends[partition]


def _unavailable(topic: str, why: str) -> UnavailableError:
    return UnavailableError(
        f"The topic {topic} cannot be read: {why}.",
        "See that Kafka runs at the configured address and that `keytrail prepare` was run.",
    )
