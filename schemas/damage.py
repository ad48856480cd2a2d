"""Batches that cannot be read: the broker gave back bytes that fail their checksum, or in an unknown codec.

librdkafka says which offset such a batch begins at and then tries it again, or goes astray: with a wrong
checksum it reads on at a made-up offset and begins the topic anew.  So a reader stops a partition at the
first such error (docs/decisions/015-unreadable-batches.md).
"""

from collections.abc import Iterable, Mapping
from logging import Logger
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


class DamagedPlaces:
    """The partitions of a consumer that stand still at a damaged batch.  Used by the thread that polls.

    They are paused; the log says so, and says it again every `remind_s` seconds.
    """

    def __init__(
        self, kafka: KafkaSettings, consumer: Consumer, chosen: PassOver, log: Logger, remind_s: float = 30.0
    ) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._chosen = chosen
        self._log = log
        self._remind_s = remind_s
        self._remind_at = 0.0
        self._words: dict[tuple[str, int], str] = {}
        self._passed: dict[tuple[str, int], int] = {}

    def __contains__(self, place: object) -> bool:
        return place in self._words

    def meet(self, message: Message) -> range | None:
        """Stop the partition at the damage that `message` reports.

        Where somebody chose to pass over it, the consumer goes on behind it instead, and the offsets that
        are left out are given back.  What else the last fetch brought of the partition is void either way.
        None: the message comes from where librdkafka read on at random; nothing is void.
        Raises `UnavailableError` where the broker is silent.
        """
        topic, partition, first = message.topic() or "", message.partition() or 0, message.offset() or 0
        if first < (passed := self._passed.get((topic, partition), 0)):
            # The client, astray, began the topic anew after it was told to go on behind the damage.
            self._consumer.seek(TopicPartition(topic, partition, passed))
            return range(0)
        end = damage_end(self._kafka, topic, partition, first)
        if end == first:
            return None
        if first in self._chosen.get((topic, partition), ()):
            self._passed[topic, partition] = end
            self._consumer.seek(TopicPartition(topic, partition, end))
            self._log.warning(
                "%s/%d: offsets %d to %d are passed over, as chosen.", topic, partition, first, end - 1
            )
            return range(first, end)
        self._consumer.pause([TopicPartition(topic, partition)])
        error = message.error()
        self._words[topic, partition] = (
            f"{topic}/{partition} stands still: offsets {first} to {end - 1} cannot be read "
            f"({error.str() if error else 'damaged'}). Restore the log segment from another replica or a "
            f"backup; where that cannot be, start again with --pass-over {topic}/{partition}:{first}."
        )
        self._remind_at = 0.0
        return range(0)

    def remind(self) -> None:
        """To be called often."""
        if self._words and monotonic() >= self._remind_at:
            self._remind_at = monotonic() + self._remind_s
            for words in self._words.values():
                self._log.error("%s", words)

    def forget(self, places: Iterable[tuple[str, int]]) -> None:
        """These are another consumer's now, or begin anew."""
        for place in places:
            self._words.pop(place, None)
            self._passed.pop(place, None)


def damage_end(kafka: KafkaSettings, topic: str, partition: int, first: int) -> int:
    """The offset after the damaged batch that begins at `first`; `first` itself where none begins there.

    Kafka gives back whole batches, so an offset lies in the damaged one if asking for it ends in the same
    error; the end is found by halving.  Blocks; raises `UnavailableError` where the broker is silent.
    """
    if not _lies_within(kafka, topic, partition, first, first):
        return first
    inside, step = first, 1
    while _lies_within(kafka, topic, partition, inside + step, first):
        inside, step = inside + step, step * 2
    outside = inside + step
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if _lies_within(kafka, topic, partition, middle, first):
            inside = middle
        else:
            outside = middle
    return outside


def _lies_within(kafka: KafkaSettings, topic: str, partition: int, offset: int, first: int) -> bool:
    # A client of its own: once astray, one may bring its errors up again after a new assignment.
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
        consumer.assign([TopicPartition(topic, partition, offset)])
        deadline = monotonic() + _SILENCE_S
        while monotonic() < deadline:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None and is_damage(error):
                begins_at = message.offset() or 0
                if begins_at <= offset:
                    return begins_at == first
                # Else it comes from where the client read on at random; the batch's own error comes too.
            elif error is None or error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
                return False
        raise UnavailableError(f"Kafka was silent while {topic}/{partition} was read at offset {offset}.")
    finally:
        consumer.close()
