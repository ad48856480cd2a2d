"""Events sent one after another by a plain producer, which knows exactly what Kafka acknowledged."""

import threading
from collections.abc import Callable, Iterable
from itertools import islice

from confluent_kafka import KafkaError, Message, Producer

from keytrail.producers.datum import flat_encoder
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import EVENTS

# Soon enough to be told of a failure within the test.
_GIVE_UP_MS = 5_000
_PIECE = 50


class AcknowledgedEvents:
    """Sends in a thread, from `with` to the end of its block.  `acknowledged` and `failed` are event ids."""

    def __init__(self, settings: Settings, events: Iterable[Event]) -> None:
        text = avro.schema_text("event")
        self._frame = wire.frame(Registry(settings.registry).register(EVENTS, text))
        self._encode = flat_encoder(avro.parse(text))
        self._events = iter(events)
        self._producer = Producer(
            settings.kafka.client(
                acks="all",
                enable_idempotence=True,
                partitioner="murmur2_random",
                message_timeout_ms=_GIVE_UP_MS,
            )
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.acknowledged: set[str] = set()
        self.failed: dict[str, str] = {}

    def __enter__(self) -> "AcknowledgedEvents":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._producer.flush(60)

    def _send(self) -> None:
        while not self._stopped.wait(0.02):
            for event in islice(self._events, _PIECE):
                self._producer.produce(
                    EVENTS.name,
                    self._frame + self._encode(event),
                    event.whose,
                    on_delivery=self._told(event.event_id),
                )
            self._producer.poll(0)

    def _told(self, event_id: str) -> Callable[[KafkaError | None, Message], None]:
        def told(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                self.acknowledged.add(event_id)
            else:
                self.failed[event_id] = error.str()

        return told
