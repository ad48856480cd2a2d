"""Reading stretches of topics: the end of a changelog, the neighbourhood of an offset."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import KafkaSettings
from keytrail.sinks.cluster import Place

_SILENCE_S = 10.0
_POLL_S = 0.1
_MORE = 1_000
# To read so many records that nobody asked for is cheaper than to go to another place.
_NEAR = 1_000


@dataclass(frozen=True, order=True)
class Span:
    """Offsets from `first` to before `end`."""

    first: int
    end: int


class SpanReader:
    """Reads committed records by their offsets.  Not thread-safe; to be closed, or used in a `with`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._bootstrap = kafka.bootstrap
        self._knows_topics = False
        self._consumer = Consumer(
            kafka.reader(
                group_id="keytrail-check",
                enable_auto_commit=False,
                enable_partition_eof=True,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                fetch_wait_max_ms=10,
                fetch_message_max_bytes=256 * 1024,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def read(self, spans: Mapping[Place, Span]) -> Iterator[tuple[Place, Message]]:
        """The records within each partition's span, those of one partition in order.

        Raises `UnavailableError` where the broker is silent for ten seconds.
        """
        self._learn_topics()
        left = {place: span for place, span in spans.items() if span.first < span.end}
        self._consumer.assign([TopicPartition(*place, span.first) for place, span in left.items()])
        heard = monotonic()
        while left:
            messages = self._next_messages()
            if messages:
                heard = monotonic()
            elif monotonic() - heard > _SILENCE_S:
                raise self._unavailable("it is silent")
            for message in messages:
                place, offset = _place(message), message.offset()
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    if error.fatal() or not error.retriable():
                        raise self._unavailable(error.str())
                elif place in left and offset is not None:
                    if error is None and offset < left[place].end:
                        yield place, message
                    if error is not None or offset >= left[place].end - 1:
                        del left[place]

    def within(self, place: Place, spans: Iterable[Span]) -> Iterator[tuple[int, Message]]:
        """The records, with their offsets, that lie in one of a partition's spans, in order.

        Reads no further than it is asked; nothing else may be read until the caller is done with it.
        """
        for group in _grouped(sorted(span for span in spans if span.first < span.end)):
            at = 0
            for _, message in self.read({place: Span(group[0].first, group[-1].end)}):
                offset = message.offset() or 0
                while offset >= group[at].end:
                    at += 1
                if offset >= group[at].first:
                    yield offset, message

    def _learn_topics(self) -> None:
        """All at once: librdkafka waits about a second before it asks for one more topic."""
        if self._knows_topics:
            return
        try:
            self._consumer.list_topics(timeout=_SILENCE_S)
        except KafkaException as error:
            raise self._unavailable(error.args[0].str()) from error
        self._knows_topics = True

    def _next_messages(self) -> list[Message]:
        # `consume` waits for a full batch; so wait for one message, then take what else is there.
        first = self._consumer.poll(_POLL_S)
        return [first, *self._consumer.consume(_MORE, 0)] if first is not None else []

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"Kafka at {self._bootstrap} does not answer: {reason}.", "See whether the broker runs."
        )


def _place(message: Message) -> Place:
    partition = message.partition()
    return Place(message.topic() or "", -1 if partition is None else partition)


def _grouped(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Spans that are near to each other, together."""
    group: list[Span] = []
    for span in spans:
        if group and span.first - group[-1].end > _NEAR:
            yield group
            group = []
        group.append(span)
    if group:
        yield group
