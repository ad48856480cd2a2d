"""Erasing a person: all of their keys are destroyed, and the log says that it was done, in one transaction.

What the keys sealed stays as it is, byte by byte, and can be read by nobody; so counts and proofs hold.
"""

import time
from dataclasses import dataclass

from confluent_kafka import KafkaException, Producer

from keytrail.producers.clock import Clock
from keytrail.producers.concealing import Concealer
from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.ids import UuidV7
from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.producers.subject_keys import every_record, records_of
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.privacy import PrivacySecrets
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import EVENTS, SUBJECT_KEYS

ACTION = "erase_person"
_TRANSACTIONAL_ID = "keytrail-erasure"
_TIMEOUT_S = 30.0
_OPEN_MS = 10_000
# A segment is compacted once a later record has ended it: this one, which is nobody's key.
_TURN = "turn"
_TURN_EVERY_S = 5.0


@dataclass(frozen=True)
class Erasure:
    """`keys`: how many were destroyed now; none where there were none any more."""

    pseudonym: str
    keys: int


def erase(
    settings: Settings, secrets: PrivacySecrets, name: str, *, actor: str, reason: str, clock: Clock
) -> Erasure:
    """Destroy the keys of a person, named by name or pseudonym.

    All is done or nothing; called again, it destroys what was made since.  Keys that a process makes
    meanwhile are of events from now on, and stay.  Raises `UnavailableError` where Kafka or the registry is
    away, or somebody else erases at the same moment.
    """
    pseudonym = secrets.pseudonym(name)
    event_text = avro.schema_text("event")
    header = wire.frame(Registry(settings.registry).register(EVENTS, event_text))
    producer = Producer(
        settings.kafka.client(
            transactional_id=_TRANSACTIONAL_ID,
            transaction_timeout_ms=_OPEN_MS,
            partitioner="murmur2_random",
        ),
        logger=KAFKA_LOG,
    )
    try:
        # From here on it is settled what became of an erasure that was killed.
        producer.init_transactions(_TIMEOUT_S)
        keys = records_of(settings.kafka, pseudonym)
        if not keys:
            return Erasure(pseudonym, 0)
        concealer = Concealer.of(settings, clock)
        # Under the key of whoever erases: nothing is left that is under the person's own.
        event = concealer.event(_event(pseudonym, len(keys), actor, reason, clock), under=actor)
        if concealer.flush(_TIMEOUT_S):
            raise _unavailable("it did not take the key of whoever erases")
        event, datum = fit(event, flat_encoder(avro.parse(event_text)))
        producer.begin_transaction()
        for key in keys:
            producer.produce(SUBJECT_KEYS.name, None, key.encode())
        producer.produce(EVENTS.name, header + datum, event.whose.encode())
        producer.commit_transaction(_TIMEOUT_S)
    except KafkaException as error:
        raise _unavailable(words_of(error)) from error
    return Erasure(pseudonym, len(keys))


def await_compaction(settings: Settings, pseudonym: str, timeout_s: float) -> bool:
    """Wait until the topic holds none of the destroyed keys any more; whether that is so.  Blocks.

    Raises `UnavailableError` where Kafka does not answer.
    """
    producer = Producer(settings.kafka.client(), logger=KAFKA_LOG)
    deadline, turn_at = time.monotonic() + timeout_s, 0.0
    while _are_left(settings, pseudonym):
        now = time.monotonic()
        if now >= deadline:
            return False
        if now >= turn_at:
            producer.produce(SUBJECT_KEYS.name, b"-", _TURN)
            producer.flush(_TURN_EVERY_S)
            turn_at = now + _TURN_EVERY_S
        time.sleep(1.0)
    return True


def _are_left(settings: Settings, pseudonym: str) -> bool:
    records = list(every_record(settings.kafka, pseudonym))
    destroyed = {name for name, value in records if value is None}
    return any(name in destroyed and value is not None for name, value in records)


def _event(pseudonym: str, keys: int, actor: str, reason: str, clock: Clock) -> Event:
    now = clock()
    return Event(
        event_id=UuidV7()(),
        occurred_at=now,
        recorded_at=now,
        service="keytrail-erase",
        environment=None,
        actor_id=actor,
        actor_type="human",
        key_id=None,
        key_alias=None,
        action=ACTION,
        subject=pseudonym,
        reason=reason,
        attributes={"keytrail.keys_destroyed": str(keys)},
    )


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        f"The person was not erased: {why}.", "See that Kafka runs at the configured address; run it again."
    )
