"""How far a source partition is processed, kept in the changelog with what came of it.

The group's committed offset says the same, and is what operators look at.  It is the broker's to keep: after
a kill -9 a broker was seen to answer with an offset of minutes ago while it still loaded its group data, and
what is processed again counts again.  So the changelog has the last word (decision 017).
"""

import json
from dataclasses import dataclass
from typing import Self

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings

POSITION = b"position"
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Position:
    """All before `next_offset` is processed, of the topic with this id: one made anew has another."""

    topic_id: str
    next_offset: int

    def pack(self) -> bytes:
        return json.dumps({"topic_id": self.topic_id, "next_offset": self.next_offset}).encode()

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        kept = json.loads(value)
        return cls(str(kept["topic_id"]), int(kept["next_offset"]))


def start(committed: int | None, kept: Position | None, topic_id: str) -> int:
    """Where to go on: behind all that is known to be processed."""
    known = kept.next_offset if kept is not None and kept.topic_id == topic_id else 0
    return max(committed or 0, known)


@dataclass(frozen=True)
class SourceTopic:
    """What the broker says of a topic: its id, and how many partitions it has."""

    topic_id: str
    partitions: int


def source_topic(kafka: KafkaSettings, topic: str) -> SourceTopic:
    """Blocks; raises `UnavailableError` where Kafka does not answer or has no such topic."""
    # A new client: one whose connection broke may keep the dead one (librdkafka issue 4605).
    admin = AdminClient(kafka.client())
    try:
        asked = admin.describe_topics(TopicCollection([topic]), request_timeout=_TIMEOUT_S)
        found = asked[topic].result(_TIMEOUT_S)
        return SourceTopic(str(found.topic_id), len(found.partitions))
    except (KafkaException, TimeoutError) as error:
        raise UnavailableError(
            f"Kafka does not say what {topic} is ({error}).", "See whether Kafka runs and has the topic."
        ) from error
