"""Applied policies, read from their topic as they come."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from keytrail.schemas.applied import AppliedPolicy, unpack
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import POLICIES
from keytrail.stream.worker.compacted import read_to_end
from keytrail.stream.worker.patience import until_available

logger = logging.getLogger(__name__)

_WHO = "The feed of policies"
_TIMEOUT_S = 30.0
_QUERY_S = 5.0
_POLL_S = 0.2
_PLACE = TopicPartition(POLICIES.name, 0, OFFSET_BEGINNING)


def applied_policies(kafka: KafkaSettings) -> list[AppliedPolicy]:
    """All that were applied, in their order.

    Blocks.  Raises `UnavailableError` where Kafka is silent, and `SchemaError` for a record of a later form.
    """
    return [unpack(value) for _, value in read_to_end(kafka, POLICIES.name, 0) if value is not None]


class PolicyFeed:
    """Gives every applied policy to `take`, once, in their order.  Thread-safe."""

    def __init__(self, kafka: KafkaSettings, take: Callable[[AppliedPolicy], None]) -> None:
        self._take = take
        how = partial(kafka.reader, group_id="keytrail-policies", enable_auto_commit=False)
        self._consumer = Consumer(
            how(enable_partition_eof=True, isolation_level="read_committed", auto_offset_reset="error")
        )
        # A record may be there whose transaction's end has not come through yet: it is waited for.
        self._asking = Consumer(how(isolation_level="read_uncommitted"))
        self._lock = threading.Lock()
        self._next = 0

    def start(self) -> None:
        """Read all there are.  Blocks until Kafka has the topic."""
        until_available(_WHO, self._check)
        self._consumer.assign([_PLACE])
        until_available(_WHO, self.catch_up)

    def _check(self) -> None:
        try:
            topic = self._asking.list_topics(POLICIES.name, _QUERY_S).topics[POLICIES.name]
        except KafkaException as error:
            raise _unavailable(error.args[0]) from error
        if topic.error is not None or not topic.partitions:
            raise UnavailableError(f"Topic {POLICIES.name} is not there.", "Run `keytrail prepare`.")

    def catch_up(self) -> None:
        """Take in every policy that was applied before this was called.

        Blocks.  Raises `UnavailableError` where Kafka is away, and `SchemaError` for a record of a later
        form: what comes behind it is not taken in.
        """
        with self._lock:
            deadline = monotonic() + _TIMEOUT_S
            try:
                low, high = self._asking.get_watermark_offsets(_PLACE, _QUERY_S, cached=False)
            except KafkaException as error:
                raise _unavailable(error.args[0]) from error
            while self._next < high and low < high:
                if monotonic() > deadline:
                    raise UnavailableError(
                        f"{POLICIES.name} could not be read to its end within {_TIMEOUT_S:.0f} s.",
                        "See whether Kafka runs.",
                    )
                self._read_one()

    def _read_one(self) -> None:
        message = self._consumer.poll(_POLL_S)
        if message is None:
            return
        error, offset, value = message.error(), message.offset(), message.value()
        if offset is None:
            return
        if error is None:
            if value is not None:
                applied = unpack(value)
                self._take(applied)
                logger.info("Policy %s, applied by %s: %s", applied.version, applied.actor, applied.reason)
            self._next = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self._next = max(offset, self._next)


def _unavailable(error: KafkaError) -> UnavailableError:
    return UnavailableError(
        f"{POLICIES.name} cannot be read: {error.str()}.", "See whether Kafka runs at the configured address."
    )
