"""One transactional writer for each source partition: output, state and offset become visible together.

The transactional id names the source partition, so the broker fences whoever wrote for it before
(KIP-98).  The group's metadata comes from a consumer that never joins: fencing rests on the
transactional id alone (docs/decisions/003-exactly-once.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import MAX_MESSAGE_BYTES
from keytrail.stream.errors import FencedError, TransactionFailedError

_TIMEOUT_S = 30.0
BY_KEY = -1
_FENCED = {"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"}


class Message(TypedDict):
    """A message as `produce_batch` takes it."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Outgoing:
    """Messages for one topic; by default the key decides on the partition."""

    topic: str
    messages: list[Message]
    partition: int = BY_KEY


class GroupOffsets:
    """The group's committed offsets.  An offset that a transaction is about to change is waited for."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._consumer = Consumer(
            kafka.client(group_id=group, enable_auto_commit=False, isolation_level="read_committed")
        )
        self.metadata = self._consumer.consumer_group_metadata()

    def committed(self, topic: str, partition: int) -> int | None:
        """The next offset to read, or None where the group never committed one.  Blocks."""
        try:
            found = self._consumer.committed([TopicPartition(topic, partition)], _TIMEOUT_S)[0]
        except KafkaException as error:
            raise UnavailableError(f"The offset of {topic}/{partition} cannot be read: {error}.") from error
        if found.error is not None:
            raise UnavailableError(f"The offset of {topic}/{partition} cannot be read: {found.error.str()}.")
        return found.offset if found.offset >= 0 else None

    def close(self) -> None:
        self._consumer.close()


class TransactionalWriter:
    """Writes for one source partition.  One thread at a time."""

    def __init__(self, kafka: KafkaSettings, group: GroupOffsets, source: str, partition: int) -> None:
        self._source = TopicPartition(source, partition)
        self._group = group
        self._producer = Producer(
            kafka.client(
                # "Re-bootstrapped", librdkafka may wait for ever for a broker it forgot (its issue 5511).
                metadata_recovery_strategy="none",
                transactional_id=f"keytrail-worker-{source}-{partition}",
                partitioner="murmur2_random",
                compression_type="lz4",
                linger_ms=5,
                message_max_bytes=MAX_MESSAGE_BYTES,
                queue_buffering_max_messages=1_000_000,
            )
        )

    def fence(self) -> None:
        """End what an earlier owner of the partition left unfinished, and shut it out.  Blocks."""
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            raise self._failed("could not be fenced", error) from error

    def commit(self, outgoing: Sequence[Outgoing], next_offset: int | None) -> None:
        """Write these in one transaction, with the source's next offset unless that is None.  Blocks."""
        try:
            self._producer.begin_transaction()
            for part in outgoing:
                messages = cast(list[dict[str, Any]], part.messages)
                queued = self._producer.produce_batch(part.topic, messages, part.partition)
                if queued != len(part.messages):
                    raise TransactionFailedError(
                        f"{part.topic} took {queued} of {len(messages)} messages.",
                        "See the broker's limits on message size.",
                    )
            if next_offset is not None:
                position = TopicPartition(self._source.topic, self._source.partition, next_offset)
                self._producer.send_offsets_to_transaction([position], self._group.metadata, _TIMEOUT_S)
            self._producer.commit_transaction(_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            raise self._failed("did not commit", error) from error

    def _failed(self, what: str, error: Exception) -> TransactionFailedError:
        place = f"{self._source.topic}/{self._source.partition}"
        cause = error.args[0] if isinstance(error, KafkaException) else None
        if cause is not None and cause.name() in _FENCED:
            return FencedError(
                f"Another worker has taken {place} over.", "Nothing to do: this worker steps back."
            )
        return TransactionFailedError(
            f"A transaction for {place} {what}: {error}.", "The worker starts anew."
        )
