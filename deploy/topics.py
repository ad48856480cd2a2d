"""Creating the topics in Kafka."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import ALL_TOPICS, DEFAULT_PARTITIONS, EVENTS, Topic

_TIMEOUT_S = 30.0


class TopicsError(KeytrailError):
    """The topics in Kafka are not laid out as the pipeline needs them."""


def create_topics(
    kafka: KafkaSettings, partitions: int = DEFAULT_PARTITIONS, replication: int = -1
) -> list[str]:
    """Create what is missing and return its names; `replication` -1 is the broker's default.

    Topics that are there are left as they are, but must have as many partitions as the events
    topic: raises `TopicsError` otherwise, and `UnavailableError` where Kafka does not answer.
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
            config=dict(topic.config),
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
