"""Findings from the anomaly topic to a webhook, one after the other, each until it is taken.

At least once: an offset is committed only after the target took the record, or it was set aside, so what is
under way when the process dies is sent again under the same `webhook-id`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.records import Anomaly
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.anomaly_decoder import AnomalyDecoder
from keytrail.sinks.cluster import Place
from keytrail.sinks.webhook.breaker import Breaker
from keytrail.sinks.webhook.filter import Wanted
from keytrail.sinks.webhook.forms import body_of
from keytrail.sinks.webhook.refused import RefusedFile
from keytrail.sinks.webhook.signing import headers
from keytrail.sinks.webhook.target import Outcome, Target

_log = logging.getLogger("keytrail.webhook")
_POLL_S = 0.2
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class WebhookConfig:
    """`refusals`: so often a target may refuse a record before it is set aside.

    `name` tells webhooks apart: each has a position of its own in the topic.
    """

    target: Target
    secret: bytes | None = field(repr=False)
    form: str = "json"
    wanted: Wanted = field(default_factory=Wanted)
    name: str = "default"
    refusals: int = 3
    from_beginning: bool = False


class _MovedError(Exception):
    """The partition of the record in hand went to another forwarder, or a stop was asked for."""


class Forwarder:
    """Runs in one thread; `stop` may be called from any."""

    def __init__(self, settings: Settings, config: WebhookConfig, refused: RefusedFile) -> None:
        self._config = config
        self._refused = refused
        self._breaker = Breaker()
        self._decode = AnomalyDecoder(Registry(settings.registry))
        self._stopped = False
        self._held: set[Place] = set()
        self._waiting = False
        self.sent = 0
        self._consumer = Consumer(
            settings.kafka.reader(
                group_id=f"keytrail-webhook-{config.name}",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        )

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        """Until `stop`.  Raises `UnavailableError` where Kafka's client gives up, `OSError` where what is
        refused cannot be kept.
        """
        _log.info("sends findings to %s", self._config.target.host)
        self._consumer.subscribe([ANOMALIES.name], on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self._stopped:
                message = self._consumer.poll(_POLL_S)
                if message is None:
                    continue
                if error := message.error():
                    _tell_of_kafka(error)
                    continue
                try:
                    self._forward(message)
                except _MovedError:
                    continue
                self._commit(message)
        finally:
            self._consumer.close()

    def _forward(self, message: Message) -> None:
        place, offset, value = _place_of(message), message.offset() or 0, message.value() or b""
        try:
            anomaly = self._until_known(value, place)
        except SchemaError as error:
            self._set_aside(place, offset, error.message, "", value)
            return
        if not self._config.wanted.accepts(anomaly):
            return
        name = f"{anomaly.anomaly_id}/{anomaly.revision}"
        body = body_of(anomaly, self._config.form)
        failures = refusals = 0
        while True:
            self._wait(self._breaker.wait_s(time.monotonic()), place)
            answer = self._config.target.send(
                body, headers(name, int(time.time()), body, self._config.secret)
            )
            if answer.outcome is Outcome.TAKEN:
                self.sent += 1
                if self._breaker.succeeded():
                    _log.warning("%s answers again", self._config.target.host)
                return
            failures += 1
            if answer.outcome is Outcome.REFUSED:
                refusals += 1
                if refusals >= self._config.refusals:
                    self._set_aside(place, offset, f"refused with {answer.said}", name, value)
                    return
            elif self._breaker.failed(time.monotonic()):
                _log.warning(
                    "%s: %s; it is left alone for %.0f s at a time",
                    *(self._config.target.host, answer.said, self._breaker.pause_s),
                )
            if failures & (failures - 1) == 0:
                _log.warning("finding %s was not taken: %s (try %d)", name, answer.said, failures)
            usual = min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 16), _LONGEST_WAIT_S)
            self._wait(usual if answer.retry_after_s is None else answer.retry_after_s, place)

    def _until_known(self, value: bytes, place: Place) -> Anomaly:
        while True:
            try:
                return self._decode(value)
            except UnavailableError as error:
                _log.warning("%s", error)
                self._wait(_FIRST_WAIT_S, place)

    def _set_aside(self, place: Place, offset: int, why: str, name: str, value: bytes) -> None:
        self._refused.keep(place, offset, why, name, value)
        _log.error(
            "%s/%d/%d was set aside: %s; %d by now, in %s",
            *(place.topic, place.partition, offset, why, self._refused.count, self._refused.path),
        )

    def _wait(self, seconds: float, place: Place) -> None:
        """Stays a member of the group meanwhile.  Raises `_MovedError`."""
        deadline = time.monotonic() + seconds
        self._waiting = True
        try:
            self._pause(self._consumer.assignment(), self._consumer.pause)
            while True:
                if self._stopped or place not in self._held:
                    raise _MovedError
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                message = self._consumer.poll(min(_POLL_S, left))  # of paused partitions: errors alone
                if message is not None and (error := message.error()):
                    _tell_of_kafka(error)
        finally:
            self._waiting = False
            self._pause(self._consumer.assignment(), self._consumer.resume)

    @staticmethod
    def _pause(partitions: list[TopicPartition], how: Callable[[list[TopicPartition]], None]) -> None:
        if partitions:
            how(partitions)

    def _commit(self, message: Message) -> None:
        """What was sent and could not be committed is sent again, under the same id."""
        try:
            self._consumer.commit(message=message, asynchronous=False)
        except KafkaException as error:
            _log.warning("the position was not kept: %s", error.args[0].str())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin where this webhook left off; where it is new, at the end, which is kept at once."""
        fresh = [one for one in consumer.committed(partitions, _TIMEOUT_S) if one.offset < 0]
        starts = []
        for one in fresh:
            low, high = consumer.get_watermark_offsets(one, _TIMEOUT_S)
            starts.append(
                TopicPartition(one.topic, one.partition, low if self._config.from_beginning else high)
            )
        if starts:
            consumer.commit(offsets=starts, asynchronous=False)
        by_place = {Place(one.topic, one.partition): one for one in starts}
        consumer.assign([by_place.get(Place(one.topic, one.partition), one) for one in partitions])
        self._held = {Place(one.topic, one.partition) for one in partitions}
        if self._waiting:
            consumer.pause(partitions)

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._held = set()


def _place_of(message: Message) -> Place:
    return Place(message.topic() or "", message.partition() or 0)


def _tell_of_kafka(error: KafkaError) -> None:
    if error.fatal():
        raise UnavailableError(f"Kafka: {error.str()}.", "Start the webhook again.")
    _log.warning("Kafka: %s; waiting", error.str())
