"""Consumer groups: whether their members are in."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from keytrail.schemas.settings import KafkaSettings

_TIMEOUT_S = 5.0


def has_members(kafka: KafkaSettings, group: str, least: int) -> bool:
    """True where at least so many members of the group hold partitions; False also where Kafka does not answer."""
    admin = AdminClient(kafka.client(socket_timeout_ms=int(_TIMEOUT_S * 1000)))
    try:
        described = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)[group].result(
            _TIMEOUT_S
        )
    except (KafkaException, TimeoutError):
        return False
    return sum(1 for member in described.members if member.assignment.topic_partitions) >= least
