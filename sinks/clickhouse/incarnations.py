"""Which incarnation of a topic records were read from."""

import threading
from collections.abc import Callable, Mapping, Sequence

from keytrail.sinks.clickhouse.errors import ReplacedError
from keytrail.sinks.cluster import Cluster, TopicState


class Incarnations:
    """The topics' ids, as of a stated moment.  Thread-safe; times are those of `clock`, in seconds.

    Raises `UnavailableError` where Kafka does not answer.
    """

    def __init__(self, cluster: Cluster, names: Sequence[str], clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._names = names
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._topics: Mapping[str, TopicState] = {}

    def since(self, moment: float) -> Mapping[str, TopicState]:
        """The topics that exist, asked at `moment` or later."""
        with self._lock:
            if self._asked_at < moment:
                asked_at = self._clock()
                self._topics = self._cluster.topics(self._names)
                self._asked_at = asked_at
            return self._topics

    def confirm(self, topic: str, incarnation: str, read_at: float) -> None:
        """Makes sure that what was read before `read_at` came from `incarnation`.

        An id never comes back: if the topic has it after the reading, it had it all along.  Records of a
        topic that is gone by now are of its last incarnation.  Raises `ReplacedError`.
        """
        state = self.since(read_at).get(topic)
        if state and state.incarnation != incarnation:
            raise ReplacedError(f"{topic} was deleted and made anew.")
