"""The anomaly topic from where a group left off, record by record, each committed when it was dealt with."""

import logging
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.records import Anomaly
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.anomaly_decoder import AnomalyDecoder

_POLL_S = 0.2
_TIMEOUT_S = 30.0
_log = logging.getLogger("keytrail.anomalies")


class AnomalyReader:
    """Records of committed transactions only.  `run` is called from one thread, `stop` from any."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._decode = AnomalyDecoder(Registry(settings.registry))
        self._stopped = False
        self._consumer = Consumer(
            settings.kafka.reader(
                group_id=group,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        )

    def stop(self) -> None:
        self._stopped = True

    def run(self, take: Callable[[Anomaly], None]) -> None:
        """Give each record to `take` until `stop`; what was given and not committed is given again.

        Raises what `take` raises, `UnavailableError` where Kafka's client gives up, and `KafkaException`
        where a position cannot be kept.
        """
        self._consumer.subscribe([ANOMALIES.name], on_assign=_assigned)
        try:
            while not self._stopped:
                message = self._consumer.poll(_POLL_S)
                if message is None:
                    continue
                if error := message.error():
                    tell_of_kafka(error)
                    continue
                self._give(message, take)
                self._consumer.commit(message=message, asynchronous=False)
        finally:
            self._consumer.close()

    def _give(self, message: Message, take: Callable[[Anomaly], None]) -> None:
        try:
            finding = self._decode(message.value() or b"")
        except SchemaError as error:
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            _log.error("%s is passed over: %s", place, error.message)
            return
        take(finding)


def starts(
    consumer: Consumer, partitions: list[TopicPartition], *, from_beginning: bool = False
) -> list[TopicPartition]:
    """Where a group goes on in each; a new group at the end, or the beginning, which is kept at once."""
    fresh = []
    for one in consumer.committed(partitions, _TIMEOUT_S):
        if one.offset < 0:
            low, high = consumer.get_watermark_offsets(one, _TIMEOUT_S)
            fresh.append(TopicPartition(one.topic, one.partition, low if from_beginning else high))
    if fresh:
        consumer.commit(offsets=fresh, asynchronous=False)
    known = {(one.topic, one.partition): one for one in fresh}
    return [known.get((one.topic, one.partition), one) for one in partitions]


def tell_of_kafka(error: KafkaError) -> None:
    """Raises `UnavailableError` where the client gives up; it goes on by itself after the others."""
    if error.fatal():
        raise UnavailableError(f"Kafka: {error.str()}.", "Start the command again.")
    _log.warning("Kafka: %s; waiting", error.str())


def _assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
    consumer.assign(starts(consumer, partitions))
