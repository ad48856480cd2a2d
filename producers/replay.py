"""Sending dead letters back to where they came from, after a fix, each at most once ever.

A log names every letter that was sent.  Its entry is written in the transaction that sends the letter, by a
producer whose fixed transactional id shuts every other replay out (docs/decisions/013-dead-letter-replay.md).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keytrail.producers.clock import Clock
from keytrail.producers.committed import read_committed
from keytrail.producers.dead_letters import Letter, Place
from keytrail.producers.librdkafka import KAFKA_LOG, words_of
from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import CUT_HEADER, DeadLetter, Micros
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import ANOMALIES, ENRICHED, EVENTS, MAX_MESSAGE_BYTES, SIGNALS, Topic

REPLAYS = Topic("keytrail.replays", "source place", per_partition=False, config={"cleanup.policy": "compact"})
REPLAY_OF = "keytrail-replay-of"
# Into a compacted topic an old record must not come back: it would stand there as the latest of its key.
_BACK_INTO = {topic.name for topic in (EVENTS, ENRICHED, SIGNALS, ANOMALIES)}
_TRANSACTIONAL_ID = "keytrail-replay"
_TIMEOUT_S = 30.0
_BATCH_LETTERS = 1_000
_BATCH_BYTES = 8_000_000
# What an abort says of the records that it leaves unsent.
_GIVEN_UP = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}

Fate = Literal["due", "sent before", "cut", "not for replay"]


@dataclass(frozen=True)
class Selection:
    """Which letters: those that meet all that is stated.  `since` is when they were set aside."""

    reason: str | None = None
    places: frozenset[Place] = frozenset()
    since: Micros | None = None

    def takes(self, letter: DeadLetter) -> bool:
        return (
            (self.reason is None or letter.reason == self.reason)
            and (not self.places or Letter.of(letter).place in self.places)
            and (self.since is None or letter.failed_at >= self.since)
        )


def fates(
    letters: Iterable[DeadLetter], sent: set[bytes], selection: Selection
) -> Iterator[tuple[DeadLetter, Fate]]:
    """What is to become of each letter that is selected; `sent` are the names of those sent before.

    A record that was set aside twice, as sinks may after a crash, is one letter.
    """
    seen: set[bytes] = set()
    for letter in letters:
        name = Letter.of(letter).pack()
        if name in seen or not selection.takes(letter):
            continue
        seen.add(name)
        if letter.source_topic not in _BACK_INTO:
            yield letter, "not for replay"
        elif name in sent:
            yield letter, "sent before"
        elif any(header.name == CUT_HEADER for header in letter.headers):
            yield letter, "cut"
        else:
            yield letter, "due"


def read_log(kafka: KafkaSettings) -> set[bytes]:
    """The names of the letters that were ever sent back.  The log's topic is made where there is none yet."""
    new = NewTopic(REPLAYS.name, 1, -1, config=dict(REPLAYS.config))
    admin = AdminClient(kafka.client(), logger=KAFKA_LOG)
    try:
        admin.create_topics([new])[REPLAYS.name].result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise _unavailable("The log of replays cannot be made", error) from error
    return {message.key() or b"" for message in read_committed(kafka, REPLAYS.name)}


class Replayer:
    """Sends letters back; one at a time in the whole cluster.  Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, clock: Clock) -> None:
        self._clock = clock
        self._refused: list[str] = []
        self._producer = Producer(
            kafka.client(
                transactional_id=_TRANSACTIONAL_ID,
                compression_type="zstd",
                message_max_bytes=MAX_MESSAGE_BYTES,
            ),
            logger=KAFKA_LOG,
        )

    def take_over(self) -> None:
        """End what another replay left unfinished, and shut it out: nobody else adds to the log from here on.

        Blocks.  Raises `UnavailableError`.
        """
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            raise _unavailable("A replay cannot begin", error) from error

    def send(self, letters: Iterable[tuple[DeadLetter, Fate]]) -> Iterator[tuple[DeadLetter, Fate]]:
        """Send the records of those that are due to the topics and partitions that they came from.

        Every letter is yielded, those that were sent after that is committed.  Raises `KeytrailError` where
        Kafka does not take a record, or another replay takes over: what was not yielded was not sent then,
        unless Kafka went away in the midst of it; the log knows.
        """
        batch: list[DeadLetter] = []
        size = 0
        for letter, fate in letters:
            if fate != "due":
                yield letter, fate
                continue
            batch.append(letter)
            size += len(letter.value or b"") + len(letter.key or b"")
            if len(batch) >= _BATCH_LETTERS or size >= _BATCH_BYTES:
                yield from self._send(batch)
                batch, size = [], 0
        yield from self._send(batch)

    def _send(self, batch: list[DeadLetter]) -> Iterator[tuple[DeadLetter, Fate]]:
        if not batch:
            return
        self._refused.clear()
        try:
            self._producer.begin_transaction()
            for letter in batch:
                self._produce(letter)
            self._producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            cause = error.args[0]
            if cause.txn_requires_abort():
                self._producer.abort_transaction(_TIMEOUT_S)
            if self._refused:
                raise KeytrailError(
                    self._refused[0], "Raise its topic's limit, or choose letters without it."
                ) from error
            if cause.fatal():
                raise KeytrailError("Another replay has taken over.", "Run this one again later.") from error
            raise _unavailable("Letters cannot be sent back", error) from error
        yield from ((letter, "due") for letter in batch)

    def _produce(self, letter: DeadLetter) -> None:
        name = Letter.of(letter)

        def delivered(error: KafkaError | None, _message: Message | None) -> None:
            # An abort gives up the others of the batch, before word of who is to blame or after it.
            if error is not None and error.code() not in _GIVEN_UP:
                self._refused.append(f"Kafka does not take {name.place} back: {words_of(error)}.")

        headers = [(header.name, header.value) for header in letter.headers]
        try:
            self._producer.produce(
                letter.source_topic,
                letter.value,
                letter.key,
                letter.source_partition,
                on_delivery=delivered,
                headers=[*headers, (REPLAY_OF, str(name.place).encode())],
            )
        except KafkaException as error:
            delivered(error.args[0], None)
            # The transaction is not hurt by what never entered it: end it here.
            self._producer.abort_transaction(_TIMEOUT_S)
            raise
        entry = {"reason": letter.reason, "replayed_at": self._clock()}
        self._producer.produce(REPLAYS.name, json.dumps(entry).encode(), name.pack())
        self._producer.poll(0)


def _unavailable(what: str, error: KafkaException) -> UnavailableError:
    return UnavailableError(f"{what}: {words_of(error)}.", "See that Kafka runs at the configured address.")
