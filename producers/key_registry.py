"""Changing keys: one change at a time in the whole cluster, each in one transaction with its audited event.

A producer with a fixed transactional id shuts every other writer out from the moment it begins; then the
keys are read, the change is decided on what they are now, and key and event are written together.  Whoever
was shut out begins anew, on what the other has written: no edit is lost, and none is made on an old copy.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException, Producer

from keytrail.producers.concealing import Concealer
from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, UnavailableError, UsageError
from keytrail.schemas.records import Event, Key
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SIGNATURE_HEADER, SigningKey, fingerprint
from keytrail.schemas.topics import EVENTS, KEYS

_TRANSACTIONAL_ID = "keytrail-key-registry"
_TIMEOUT_S = 30.0
# What a writer that was killed leaves open holds up readers for so long.
_OPEN_MS = 10_000
_ATTEMPTS = 20
_FAILURES = 3  # that are not another writer's doing
_PAUSE_S = 0.05
_TAKEN_OVER = {"_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "CONCURRENT_TRANSACTIONS"}


@dataclass(frozen=True)
class Edit:
    """A key's next record, and the event that tells of it."""

    key: Key
    event: Event


Decide = Callable[[KeyLog], Sequence[Edit]]


class KeyRegistry:
    """Not thread-safe; any number of processes may use one of their own.

    `signer` signs the events: it is the key that the changes are made with.
    """

    def __init__(self, settings: Settings, signer: SigningKey | None = None) -> None:
        self._settings = settings
        self._signer = signer
        self._registry = Registry(settings.registry)
        self._concealer = Concealer.if_on(settings)
        self._doubtful: Sequence[Edit] = ()

    def change(self, decide: Decide) -> list[Key]:
        """Write what `decide` makes of the keys; they are in Kafka when this returns.

        `decide` may be called several times, each time with the keys as they are, and what it raises ends
        the change with nothing written.  Blocks.  Raises `UnavailableError` where Kafka or the registry is
        away, and `KeytrailError` where others change keys without a pause.
        """
        self._doubtful = ()
        failures: list[KafkaException] = []
        for _ in range(_ATTEMPTS):
            try:
                return [edit.key for edit in self._attempt(decide)]
            except KafkaException as error:
                cause = error.args[0]
                if not cause.fatal() and cause.name() not in _TAKEN_OVER:
                    failures.append(error)
                if len(failures) == _FAILURES:
                    raise UnavailableError(
                        f"The key cannot be changed: {words_of(error)}.",
                        "See that Kafka runs at the configured address, and whether the change is there.",
                    ) from error
                time.sleep(_PAUSE_S)
        raise KeytrailError("Others change keys all the time.", "Try again.")

    def _attempt(self, decide: Decide) -> Sequence[Edit]:
        """Raises `KafkaException` where another writer took over, or Kafka did not take the change."""
        event_text, key_text = avro.schema_text("event"), avro.schema_text("key")
        event_frame = wire.frame(self._registry.register(EVENTS, event_text))
        key_frame = wire.frame(self._registry.register(KEYS, key_text))
        encode_event = flat_encoder(avro.parse(event_text))
        mark = fingerprint(event_text)
        encode_key = avro.encoder(avro.parse(key_text))
        producer = Producer(
            self._settings.kafka.client(
                transactional_id=_TRANSACTIONAL_ID,
                transaction_timeout_ms=_OPEN_MS,
                partitioner="murmur2_random",
            ),
            logger=KAFKA_LOG,
        )
        try:
            # From here on it is settled what became of an attempt before this one.
            producer.init_transactions(_TIMEOUT_S)
            known = read_keys(self._settings)
            if self._doubtful and all(known.keys.get(e.key.key_id) == e.key for e in self._doubtful):
                return self._doubtful
            edits = self._concealed(decide(known))
            if not edits:
                return edits
            producer.begin_transaction()
            for edit in edits:
                event, datum = fit(edit.event, encode_event)
                headers: list[tuple[str, str | bytes | None]] = []
                if self._signer is not None and self._signer.key_id == event.key_id:
                    headers.append((SIGNATURE_HEADER, self._signer.sign(mark, datum)))
                producer.produce(EVENTS.name, event_frame + datum, event.whose.encode(), headers=headers)
                producer.produce(KEYS.name, key_frame + encode_key(edit.key), edit.key.key_id.encode())
                producer.poll(0)
            self._doubtful = edits
            producer.commit_transaction(_TIMEOUT_S)
        except BufferError as error:
            raise KeytrailError("That is too much for one change.", "Import fewer keys at once.") from error
        except UnicodeEncodeError as error:
            raise UsageError("The key holds text that is not valid Unicode.", "Correct it.") from error
        return edits

    def _concealed(self, edits: Sequence[Edit]) -> Sequence[Edit]:
        """As they are to be kept; in privacy mode, once Kafka has the keys of the people in them."""
        concealer = self._concealer
        if concealer is None:
            return edits
        concealed = [Edit(concealer.key(edit.key), concealer.event(edit.event)) for edit in edits]
        if concealer.flush(_TIMEOUT_S):
            raise UnavailableError("Kafka did not take the keys of people.", "See that Kafka runs.")
        return concealed
