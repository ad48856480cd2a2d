"""Consumer groups: whether their members are in."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from keytrail.schemas.settings import KafkaSettings

_TIMEOUT_S = 5.0


class GroupMembers:
    """Asks one Kafka about its consumer groups."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._config = kafka.client(socket_timeout_ms=int(_TIMEOUT_S * 1000))
        self._stale: set[str] = set()

    def leave_out_present(self, group: str) -> None:
        """Members that are in now do not count: an earlier run's, whose session has not ended yet."""
        self._stale |= self._members(group)

    def have_joined(self, group: str, least: int) -> bool:
        """True where at least so many members hold partitions; False also where Kafka does not answer."""
        return len(self._members(group) - self._stale) >= least

    def _members(self, group: str) -> set[str]:
        """Ids of the members that hold partitions; a member that comes again gets a new one."""
        # A new client each time: one whose connection broke can abort the process (librdkafka issue 4605).
        admin = AdminClient(self._config)
        try:
            asked = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)
            members = asked[group].result(_TIMEOUT_S).members
        except (KafkaException, TimeoutError):
            return set()
        return {str(member.member_id) for member in members if member.assignment.topic_partitions}
