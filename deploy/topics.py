"""Creating the topics in Kafka."""

import logging

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import ALL_TOPICS, BROKERS_TIME, DEFAULT_PARTITIONS, EVENTS, Topic

logger = logging.getLogger(__name__)

_TIMEOUT_S = 30.0


class TopicsError(KeytrailError):
    """The topics in Kafka are not laid out as the pipeline needs them."""


def create_topics(
    kafka: KafkaSettings, partitions: int = DEFAULT_PARTITIONS, replication: int = -1
) -> list[str]:
    """Create what is missing and return its names; `replication` -1 is the broker's default.

    Topics that are there are left as they are, but must have as many partitions as the events
    topic: raises `TopicsError` otherwise, and `UnavailableError` where Kafka does not answer.  Topics that
    went by their producers' clocks go by the broker's from then on.
    """
    admin = AdminClient(kafka.client())
    found = _partitions_by_topic(admin, kafka)
    wanted = found.get(EVENTS.name, partitions)
    missing = [topic for topic in ALL_TOPICS if topic.name not in found]
    for topic in ALL_TOPICS:
        if topic.per_partition and found.get(topic.name, wanted) != wanted:
            raise TopicsError(
                f"{topic.name} has {found[topic.name]} partitions and {EVENTS.name} has {wanted}.",
                "Give both the same number: each stage writes to the partition it read from.",
            )
    if missing:
        _create(admin, missing, wanted, replication)
    _take_brokers_time(admin, [topic for topic in ALL_TOPICS if topic not in missing])
    return [topic.name for topic in missing]


def _partitions_by_topic(admin: AdminClient, kafka: KafkaSettings) -> dict[str, int]:
    try:
        topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise UnavailableError(
            f"Kafka at {kafka.bootstrap} does not answer.", "Start it, or set KEYTRAIL_KAFKA_BOOTSTRAP."
        ) from error
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(admin: AdminClient, topics: list[Topic], partitions: int, replication: int) -> None:
    new = [
        NewTopic(
            topic.name,
            partitions if topic.per_partition else 1,
            replication,
            config={**topic.config, **BROKERS_TIME},
        )
        for topic in topics
    ]
    for name, created in admin.create_topics(new, operation_timeout=_TIMEOUT_S).items():
        try:
            created.result()
        except KafkaException as error:
            # Another start-up may have created it in the meantime.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsError(f"Topic {name} could not be created: {error.args[0].str()}.") from error


def _take_brokers_time(admin: AdminClient, topics: list[Topic]) -> None:
    """For topics of a version that kept their producers' times."""
    refused = {topic.name: why for topic in topics if (why := _refusal_of_time(admin, topic)) is not None}
    if refused:
        # All else works without it, and somebody else may be the one who may change topics.
        logger.warning(
            "Whether %s go by the broker's clock cannot be seen or set: %s. They should have %s; without, "
            "services that share a wrong clock can make others look silent and hide uses of emergency keys, "
            "and a worker whose clock is an hour ahead of the broker's stands still.",
            *(", ".join(refused), next(iter(refused.values()))),
            ", ".join("=".join(one) for one in BROKERS_TIME.items()),
        )


def _refusal_of_time(admin: AdminClient, topic: Topic) -> str | None:
    """Why the topic does not go by the broker's clock; None where it does now."""
    settings = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in BROKERS_TIME.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=settings)
    try:
        [described] = admin.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        found = described.result()
        if any(found[name].value != value for name, value in BROKERS_TIME.items()):
            [altered] = admin.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S).values()
            altered.result()
    except KafkaException as error:
        return str(error.args[0].str())
    return None
