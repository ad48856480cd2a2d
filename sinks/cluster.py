"""What Kafka says of topics and groups: ids, ends, committed offsets."""

import base64
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
    Uuid,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings

_REQUEST_TIMEOUT_S = 10.0
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID)

Answer = TypeVar("Answer")


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True)
class CommittedOffset:
    """`offset` is that of the next record to be read; `note` is the commit's metadata."""

    offset: int
    note: str


@dataclass(frozen=True)
class TopicState:
    """`incarnation` is Kafka's id of the topic, which a topic made anew does not share, as a UUID."""

    incarnation: str
    partitions: int


class Cluster:
    """A Kafka cluster, asked over an admin client.  Thread-safe.

    Methods block for at most some ten seconds and raise `UnavailableError` where Kafka does not answer.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._bootstrap = settings.bootstrap
        self._settings = settings
        self._admin = AdminClient(settings.client(socket_timeout_ms=int(_REQUEST_TIMEOUT_S * 1000)))

    def topics(self, names: Sequence[str]) -> dict[str, TopicState]:
        """The topics that exist, by name."""
        found: dict[str, TopicState] = {}
        answers = self._admin.describe_topics(
            TopicCollection(list(names)), request_timeout=_REQUEST_TIMEOUT_S
        )
        for name, answer in answers.items():
            try:
                description = answer.result(_REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() in _GONE:
                    continue
                raise self._unavailable(error) from error
            except TimeoutError as error:
                raise self._unavailable(error) from error
            found[name] = TopicState(_uuid(description.topic_id), len(description.partitions))
        return found

    def committed(self, group: str, places: Iterable[Place]) -> dict[Place, CommittedOffset]:
        """What the group has committed; a partition without a commit is left out."""
        # Asked over a consumer that never joins: an admin client whose connection to the group's coordinator
        # broke keeps the dead one and asks in vain for ever (librdkafka 4605).
        asked = [TopicPartition(place.topic, place.partition) for place in places]
        consumer = Consumer(self._settings.client(group_id=group, enable_auto_commit=False))
        try:
            listed = consumer.committed(asked, _REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise self._unavailable(error) from error
        finally:
            consumer.close()
        for found in listed:
            if found.error is not None:
                raise self._unavailable(KafkaException(found.error))
        return {
            Place(found.topic, found.partition): CommittedOffset(found.offset, found.metadata or "")
            for found in listed
            if found.offset >= 0
        }

    def ends(self, places: Iterable[Place], *, committed: bool = True) -> dict[Place, int]:
        """The offset behind the last committed record of each partition, or behind the last of all."""
        return self._offsets(places, OffsetSpec.latest(), committed)  # type: ignore[no-untyped-call]

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset of the first record that each partition still holds."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec, committed: bool = True) -> dict[Place, int]:
        asked = {TopicPartition(place.topic, place.partition): spec for place in places}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        answers: Mapping[TopicPartition, Future[Any]] = self._admin.list_offsets(
            asked, isolation_level=level, request_timeout=_REQUEST_TIMEOUT_S
        )
        return {
            Place(place.topic, place.partition): int(self._result(answer).offset)
            for place, answer in answers.items()
        }

    def _result(self, answer: "Future[Answer]") -> Answer:
        try:
            return answer.result(_REQUEST_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
        return UnavailableError(
            f"Kafka at {self._bootstrap} does not answer: {reason}.",
            "Start it, or set KEYTRAIL_KAFKA_BOOTSTRAP.",
        )


def _uuid(topic_id: Uuid) -> str:
    """From Kafka's own spelling, which is base64."""
    digits = str(topic_id).replace("+", "-").replace("/", "_").rstrip("=")
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{digits}==")))
