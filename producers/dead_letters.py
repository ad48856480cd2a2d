"""Reading the topic of dead letters, and naming them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from keytrail.producers.committed import read_committed
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.records import DeadLetter, Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEAD_LETTERS


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Letter(NamedTuple):
    """Which letter: a topic that is made anew has the same places again, but not at the same times."""

    place: Place
    timestamp: Micros

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        place = Place(letter.source_topic, letter.source_partition, letter.source_offset)
        return cls(place, letter.source_timestamp)

    def pack(self) -> bytes:
        """A name that no other letter has."""
        return f"{self.place}@{self.timestamp}".encode()


class DeadLetterTopic:
    """Not thread-safe.  `unreadable` are the places in the topic of records that are no dead letters."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._registry = Registry(settings.registry)
        self._schema = avro.parse(avro.schema_text("deadletter"))
        self._decoders: dict[int, Callable[[bytes, int], DeadLetter]] = {}
        self.unreadable: list[Place] = []

    def letters(self) -> Iterator[DeadLetter]:
        """Every letter that is there when the first is asked for, in no order.

        Raises `UnavailableError` where Kafka or the registry does not answer.
        """
        for message in read_committed(self._kafka, DEAD_LETTERS.name):
            try:
                letter = self._decode(message.value() or b"")
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001  # a foreign datum makes fastavro raise nearly anything
                place = Place(DEAD_LETTERS.name, message.partition() or 0, message.offset() or 0)
                self.unreadable.append(place)
            else:
                yield letter

    def _decode(self, value: bytes) -> DeadLetter:
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            raise SchemaError("The value has no wire header.")
        if schema_id not in self._decoders:
            writer = avro.parse(self._registry.text_of(schema_id))
            self._decoders[schema_id] = avro.decoder(DeadLetter, writer, self._schema)
        return self._decoders[schema_id](value, wire.HEADER_LENGTH)
