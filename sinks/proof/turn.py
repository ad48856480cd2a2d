"""Whose turn it is: of several notaries one works, the others wait.

They are a consumer group on the topic of checkpoints, of which nothing is read: whoever has its first
partition has the turn.  When another joins, Kafka may give the turn to it, but not before the one that had it
has asked again.  One that was killed loses it when its session ends, after ten seconds.
"""

import time
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import CHECKPOINTS

_GROUP = "keytrail-notary"
_SESSION_MS = 10_000
# It asks once a round, and a round over a long backlog takes hours; its heartbeats go on meanwhile.
_ROUND_MS = 24 * 3600 * 1000
_POLL_S = 0.1


class Turn:
    """Not thread-safe; to be closed, or used in a `with`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._bootstrap = kafka.bootstrap
        self._mine = False
        self._consumer = Consumer(
            kafka.reader(
                group_id=_GROUP,
                enable_auto_commit=False,
                session_timeout_ms=_SESSION_MS,
                max_poll_interval_ms=_ROUND_MS,
                partition_assignment_strategy="range",
            )
        )
        self._consumer.subscribe(
            [CHECKPOINTS.name], on_assign=self._assigned, on_revoke=self._ended, on_lost=self._ended
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the turn to the next."""
        self._consumer.close()

    def is_mine(self, patience_s: float = 0.0) -> bool:
        """Whether it is this notary's turn now; if not, waits so long for it.

        It stays until this is asked again.  Raises `UnavailableError` where Kafka lets nobody join.
        """
        deadline = time.monotonic() + patience_s
        while True:
            message = self._consumer.poll(_POLL_S)
            error = message.error() if message is not None else None
            if error is not None and not error.retriable() and error.code() != KafkaError._PARTITION_EOF:
                raise UnavailableError(
                    f"Kafka at {self._bootstrap} lets no notary join {_GROUP}: {error.str()}.",
                    "See whether the broker runs, and whether the notary may read with that group.",
                )
            if self._mine or time.monotonic() > deadline:
                return self._mine

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._mine = any(each.partition == 0 for each in partitions)
        try:
            consumer.assign(partitions)
            consumer.pause(partitions)
        except KafkaException:
            self._mine = False  # the group has moved on; it will be told anew

    def _ended(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._mine = False
