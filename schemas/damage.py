"""Batches that cannot be read: the broker gave back bytes that fail their checksum, or in an unknown codec.

librdkafka says which offset such a batch begins at and then tries it again, or goes astray: with a wrong
checksum it reads on at a made-up offset and begins the topic anew.  So a reader stops a partition at the
first such error (docs/decisions/015-unreadable-batches.md).
"""

from collections.abc import Iterable, Mapping
from time import monotonic

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from keytrail.schemas.errors import UnavailableError, UsageError
from keytrail.schemas.settings import KafkaSettings

_DAMAGED = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)
_SILENCE_S = 10.0
_POLL_S = 0.1

PassOver = Mapping[tuple[str, int], frozenset[int]]
"""For each (topic, partition), the first offsets of the damaged batches that may be left out."""


def is_damage(error: KafkaError) -> bool:
    """The records at hand can never be read, however often they are fetched."""
    return error.code() in _DAMAGED


def damage_words(message: Message, end: int) -> str:
    """What to tell a person of a batch that `message` reports and that ends before offset `end`."""
    place, first = f"{message.topic()}/{message.partition()}", message.offset()
    error = message.error()
    return (
        f"{place} stands still: offsets {first} to {end - 1} cannot be read "
        f"({error.str() if error else 'damaged'}). Restore the log segment from another replica or a backup; "
        f"where that cannot be, start again with --pass-over {place}:{first} to go on without them."
    )


def pass_over(values: Iterable[str]) -> PassOver:
    """From `topic/partition:offset`, as a message names it.  Raises `UsageError`."""
    chosen: dict[tuple[str, int], set[int]] = {}
    for value in values:
        topic, slash, rest = value.rpartition("/")
        partition, colon, offset = rest.partition(":")
        if not (slash and colon and topic and partition.isdecimal() and offset.isdecimal()):
            raise UsageError(
                f"--pass-over {value!r} names no batch.",
                "Give it as the log does: topic/partition:first-offset.",
            )
        chosen.setdefault((topic, int(partition)), set()).add(int(offset))
    return {place: frozenset(offsets) for place, offsets in chosen.items()}


def damage_end(kafka: KafkaSettings, topic: str, partition: int, first: int) -> int:
    """The offset after the damaged batch that begins at `first`.

    Kafka gives back whole batches, so an offset lies in the damaged one if asking for it ends in the same
    error; the end is found by halving.  Blocks; raises `UnavailableError` where the broker is silent.
    """
    consumer = Consumer(
        kafka.reader(
            group_id="keytrail-reader",
            enable_auto_commit=False,
            enable_partition_eof=True,
            auto_offset_reset="error",
            fetch_wait_max_ms=10,
        )
    )
    try:
        inside, step = first, 1
        while _lies_within(consumer, topic, partition, inside + step, first):
            inside, step = inside + step, step * 2
        outside = inside + step
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if _lies_within(consumer, topic, partition, middle, first):
                inside = middle
            else:
                outside = middle
        return outside
    finally:
        consumer.close()


def _lies_within(consumer: Consumer, topic: str, partition: int, offset: int, first: int) -> bool:
    consumer.assign([TopicPartition(topic, partition, offset)])
    try:
        deadline = monotonic() + _SILENCE_S
        while monotonic() < deadline:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None and is_damage(error):
                return message.offset() == first
            if error is None or error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
                return False
        raise UnavailableError(f"Kafka was silent while {topic}/{partition} was read at offset {offset}.")
    finally:
        consumer.unassign()
