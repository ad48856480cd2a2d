"""Applying a policy: one transaction, so that all workers go by it from the same events on.

An event in each partition of the events topic announces it, and the record in `keytrail.policies` says at
which offsets these events lie.  Nobody reads on behind them before the transaction is committed, and by then
the record is in its topic: a worker that reads an announcement finds the record, if it waits for it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from confluent_kafka import KafkaException, Message, Producer

from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.schemas import avro, wire
from keytrail.schemas.applied import AppliedPolicy, pack
from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SIGNATURE_HEADER, SigningKey, fingerprint
from keytrail.schemas.topics import EVENTS, POLICIES

_TRANSACTIONAL_ID = "keytrail-policies"
_TIMEOUT_S = 30.0
# What a writer that was killed leaves open holds up readers for so long.
_OPEN_MS = 10_000


class PolicyLog:
    """Writes applied policies.  `signer` signs the events: it is the key that the change is made with."""

    def __init__(self, settings: Settings, signer: SigningKey | None = None) -> None:
        self._settings = settings
        self._signer = signer

    def apply(self, policy: AppliedPolicy, announce: Callable[[int], Event]) -> AppliedPolicy:
        """The policy as it was written: it counts from behind the event that `announce` gives for each
        partition.  It is in Kafka when this returns.  Blocks.

        Raises `UnavailableError` where Kafka or the registry is away; `keytrail policy history` then tells
        whether it was applied.
        """
        registry = Registry(self._settings.registry)
        text = avro.schema_text("event")
        frame = wire.frame(registry.register(EVENTS, text))
        producer = Producer(
            self._settings.kafka.client(transactional_id=_TRANSACTIONAL_ID, transaction_timeout_ms=_OPEN_MS),
            logger=KAFKA_LOG,
        )
        try:
            partitions = self._partitions(producer)
            # Whoever applies another policy at the same time is shut out from here on.
            producer.init_transactions(_TIMEOUT_S)
            producer.begin_transaction()
            offsets = self._announce(producer, text, frame, {p: announce(p) for p in partitions})
            applied = replace(policy, counts_from={p: offset + 1 for p, offset in offsets.items()})
            producer.produce(POLICIES.name, pack(applied), applied.policy_id.encode())
            producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            raise UnavailableError(
                f"The policy cannot be applied: {words_of(error)}.",
                "See that Kafka runs, and with `keytrail policy history` whether it was applied.",
            ) from error
        return applied

    def _partitions(self, producer: Producer) -> list[int]:
        topics = producer.list_topics(timeout=_TIMEOUT_S).topics
        for topic in (EVENTS, POLICIES):
            if topic.name not in topics:
                raise UnavailableError(f"Topic {topic.name} is not there.", "Run `keytrail prepare`.")
        return sorted(topics[EVENTS.name].partitions)

    def _announce(
        self, producer: Producer, text: str, frame: bytes, events: Mapping[int, Event]
    ) -> dict[int, int]:
        """Write each partition's event; the offset of each."""
        encode, mark = flat_encoder(avro.parse(text)), fingerprint(text)
        offsets: dict[int, int] = {}

        def note(_error: object, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if message.error() is None and partition is not None and offset is not None:
                offsets[partition] = offset

        for partition, event in events.items():
            fitted, datum = fit(event, encode)
            headers: list[tuple[str, str | bytes | None]] = []
            if self._signer is not None and self._signer.key_id == fitted.key_id:
                headers.append((SIGNATURE_HEADER, self._signer.sign(mark, datum)))
            producer.produce(
                EVENTS.name,
                frame + datum,
                fitted.whose.encode(),
                partition=partition,
                headers=headers,
                on_delivery=note,
            )
        deadline = time.monotonic() + _TIMEOUT_S
        while len(offsets) < len(events):
            if time.monotonic() > deadline:
                raise KeytrailError(
                    "Kafka did not take the events that announce the policy.",
                    "It was not applied; try again.",
                )
            producer.flush(1.0)
        return offsets
