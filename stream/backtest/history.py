"""The past, read from Kafka: events of a stretch of time, and the keys as they are now."""

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import EVENTS, KEYS
from keytrail.stream.backtest.backtest import PastRecord
from keytrail.stream.keys.key_reading import KeyReader
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.reading.schema_source import SchemaTexts
from keytrail.stream.worker.compacted import read_to_end
from keytrail.stream.worker.group_member import FetchedRecord
from keytrail.stream.worker.span import read_span

_TIMEOUT_S = 10.0
_MICROS_IN_MS = 1_000


class Span(NamedTuple):
    """Offsets of one partition of the events topic: from `begin` on, those before `end`."""

    partition: int
    begin: int
    end: int


class KeyRecord(NamedTuple):
    """A record of the keys topic; without a value the key is gone."""

    partition: int
    key: bytes
    value: bytes | None


def directory_of(records: Iterable[KeyRecord], schemas: SchemaTexts) -> KeyDirectory:
    """The keys as these records leave them.  Raises `UnavailableError` where the registry is away."""
    directory = KeyDirectory()
    reader = KeyReader(schemas, directory)
    for record in records:
        reader.apply(record.key, record.value, f"A record of {KEYS.name}/{record.partition}")
    return directory


class History:
    """Reads; it joins no group and changes nothing.  Raises `UnavailableError` where Kafka is away."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    def keys(self) -> list[KeyRecord]:
        """Every key's latest record, in each partition's order."""
        client = self._client()
        try:
            partitions = _partitions(client, KEYS.name)
        finally:
            client.close()
        return [
            KeyRecord(partition, key, value)
            for partition in partitions
            for key, value in read_to_end(self._kafka, KEYS.name, partition)
        ]

    def partitions(self) -> int:
        """How many the events topic has."""
        client = self._client()
        try:
            return len(_partitions(client, EVENTS.name))
        finally:
            client.close()

    def spans(self, since: Micros | None, until: Micros | None) -> list[Span]:
        """Where that lies which Kafka took between these times, and no later than now."""
        client = self._client()
        try:
            return _spans(client, since, until)
        except KafkaException as error:
            raise _unavailable(EVENTS.name, error) from error
        finally:
            client.close()

    def events(self, spans: Iterable[Span]) -> Iterator[PastRecord]:
        """All partitions' records, the oldest first; each partition's are in their own order."""
        return heapq.merge(*map(self._partition, spans), key=lambda past: past.record.timestamp)

    def _partition(self, span: Span) -> Iterator[PastRecord]:
        begin = TopicPartition(EVENTS.name, span.partition, span.begin)
        for message in read_span(self._kafka, begin, span.end):
            yield PastRecord(span.partition, FetchedRecord(message))

    def _client(self) -> Consumer:
        return Consumer(
            self._kafka.reader(
                group_id="keytrail-reader", enable_auto_commit=False, isolation_level="read_committed"
            )
        )


def _partitions(client: Consumer, name: str) -> list[int]:
    try:
        topic = client.list_topics(name, _TIMEOUT_S).topics[name]
    except KafkaException as error:
        raise _unavailable(name, error) from error
    if topic.error is not None or not topic.partitions:
        raise UnavailableError(f"Topic {name} is not there.", "Run `keytrail prepare`.")
    return sorted(topic.partitions)


def _spans(client: Consumer, since: Micros | None, until: Micros | None) -> list[Span]:
    """Of each partition that has records in the stretch."""
    spans = []
    for partition in _partitions(client, EVENTS.name):
        place = TopicPartition(EVENTS.name, partition)
        first, following = client.get_watermark_offsets(place, _TIMEOUT_S, cached=False)
        begin = first if since is None else _offset_at(client, partition, since, following)
        end = following if until is None else _offset_at(client, partition, until, following)
        if begin < end:
            spans.append(Span(partition, begin, end))
    return spans


def _offset_at(client: Consumer, partition: int, at: Micros, following: int) -> int:
    """The first offset whose record came at that time or later; `following` where none did."""
    asked = TopicPartition(EVENTS.name, partition, -(-at // _MICROS_IN_MS))
    [found] = client.offsets_for_times([asked], _TIMEOUT_S)
    if found.error is not None:
        raise KafkaException(found.error)
    return found.offset if found.offset >= 0 else following


def _unavailable(topic: str, error: KafkaException) -> UnavailableError:
    return UnavailableError(
        f"{topic} cannot be read: {error.args[0].str()}.", "See whether Kafka runs at the configured address."
    )
