"""Taking sealed events to where they go, in order, and saying what became of them.

An outbox hands its courier a window of events, waits until the fate of each is known, and then hands it the
next; so what is delivered is a matter of windows, and nothing has to be kept for each event.
"""

# Loaded at the first connection otherwise, and a child that is forked just then would wait for it for ever.
import encodings.idna  # noqa: F401
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keytrail.producers.librdkafka import producer_for, words_of
from keytrail.producers.publisher import DeliveryError
from keytrail.producers.sealed import Sealed
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, SchemaError, UnavailableError
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SIGNATURE_HEADER
from keytrail.schemas.topics import EVENTS

# What the record itself is to blame for: sending it again would not help.
_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
    KafkaError._BAD_MSG,
}


@dataclass(frozen=True)
class Progress:
    """Of what was sent: how many events are under way and how many failed; the datums that nobody takes."""

    pending: int = 0
    failed: int = 0
    refused: Sequence[bytes] = ()
    why: str = ""


class Courier(Protocol):
    """Called from one thread only."""

    def send(self, window: Sequence[Sealed]) -> int:
        """How many of the first were taken.  Raises `UnavailableError` or `SchemaError` where none can be."""
        ...

    def settle(self, timeout_s: float) -> Progress:
        """Wait until the fate of all that was taken is known, or the time is over."""
        ...


class Outlet(Protocol):
    """Where events go instead of Kafka, one by one; called from one thread only.

    `publish` answers False while there is no room, and raises `UnavailableError` while it is away.
    """

    def publish(self, record: Event) -> bool: ...

    def check(self) -> None: ...

    def flush(self, timeout_s: float) -> int: ...


class KafkaCourier:
    """Sends to `keytrail.events`, signatures in the header `keytrail-signature`.

    Never waits for the registry: until that has answered, nothing is taken.  Raises `UsageError` as
    `EventPublisher` does.
    """

    def __init__(self, settings: Settings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._registry = Registry(settings.registry)
        self._asked: Future[bytes] | None = None
        self._failed = 0
        self._refused: list[bytes] = []
        self._why = ""
        self._broken = False
        self._producer = self._connected()

    def send(self, window: Sequence[Sealed]) -> int:
        header = self._wire_header()
        if header is None:
            return 0
        if self._broken:
            self._producer, self._broken = self._connected(), False
        room = window[: max(0, self._most - len(self._producer))]
        unsigned: list[dict[str, object]] = []
        for sealed in room:
            if sealed.signature is None:
                unsigned.append({"value": header + sealed.datum, "key": sealed.key})
                continue
            # Headers cannot go in a batch; what is before it goes first, so that the order stays.
            self._send_batch(unsigned)
            unsigned = []
            self._send_signed(header, sealed, sealed.signature)
        self._send_batch(unsigned)
        return len(room)

    def settle(self, timeout_s: float) -> Progress:
        pending = int(self._producer.flush(timeout_s))
        if pending:
            return Progress(pending, why=self._why)
        progress = Progress(0, self._failed, self._refused, self._why)
        self._failed, self._refused = 0, []
        return progress

    def _send_batch(self, batch: list[dict[str, object]]) -> None:
        if not batch or self._producer.produce_batch(EVENTS.name, batch) == len(batch):
            return
        for message in batch:
            error, value = message.get("_error"), message["value"]
            if isinstance(error, KafkaError) and isinstance(value, bytes):
                self._fell_out(error, value)

    def _send_signed(self, header: bytes, sealed: Sealed, signature: bytes) -> None:
        value = header + sealed.datum
        try:
            self._producer.produce(EVENTS.name, value, sealed.key, headers=[(SIGNATURE_HEADER, signature)])
        except BufferError:
            self._failed += 1
        except KafkaException as error:
            self._fell_out(error.args[0], value)

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fell_out(error, message.value() or b"")

    def _fell_out(self, error: KafkaError, value: bytes) -> None:
        self._why = words_of(error)
        if error.code() in _REFUSED:
            self._refused.append(value[wire.HEADER_LENGTH :])
        else:
            self._failed += 1

    def _on_error(self, error: KafkaError) -> None:
        self._why = words_of(error)
        # Such a producer sends nothing any more; another can.
        self._broken |= error.fatal()

    def _wire_header(self) -> bytes | None:
        if self._asked is None:
            self._asked = Future()
            threading.Thread(
                target=_answer, args=(self._asked, self._register), name="keytrail-registry", daemon=True
            ).start()
        if not self._asked.done():
            return None
        if (error := self._asked.exception()) is not None:
            self._asked = None
            raise error
        return self._asked.result()

    def _register(self) -> bytes:
        return wire.frame(self._registry.register(EVENTS, avro.schema_text("event")))

    def _connected(self) -> Producer:
        producer, config = producer_for(
            self._settings,
            client_id=self._client_id,
            on_failure=self._on_failure,
            on_error=self._on_error,
            # Events are given up by the outbox, never by the client: so they stay in order.
            defaults={"message.timeout.ms": 0},
        )
        # Zero stands for no limit.
        self._most = int(config["queue.buffering.max.messages"]) or sys.maxsize
        return producer


def _answer(asked: Future[bytes], call: Callable[[], bytes]) -> None:
    try:
        asked.set_result(call())
    except Exception as error:  # noqa: BLE001  # told to whoever asks for the answer
        asked.set_exception(error)


class OutletCourier:
    """Takes events to an outlet.  What the outlet does not deliver is refused, and the others go on."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        schema = avro.parse(avro.schema_text("event"))
        self._decode = avro.decoder(Event, schema, schema)
        self._refused: list[bytes] = []
        self._sent: list[bytes] = []
        self._why = ""

    def send(self, window: Sequence[Sealed]) -> int:
        for number, sealed in enumerate(window):
            try:
                if not self._outlet.publish(self._decode(sealed.datum, 0)):
                    return number
                self._sent.append(sealed.datum)
            except (UnavailableError, SchemaError):
                if number == 0:
                    raise
                return number
            except Exception as error:  # noqa: BLE001  # one bad event must not stop the others
                self._refuse([sealed.datum], error)
        return len(window)

    def settle(self, timeout_s: float) -> Progress:
        try:
            self._outlet.check()
            pending = self._outlet.flush(timeout_s)
        except DeliveryError as error:
            self._refuse(self._sent[-error.count :], error)
            pending = 0
        except Exception as error:  # noqa: BLE001  # an outlet is anybody's code
            self._refuse(self._sent, error)
            pending = 0
        if pending:
            return Progress(pending)
        progress = Progress(0, 0, self._refused, self._why)
        self._refused, self._sent = [], []
        return progress

    def _refuse(self, datums: Sequence[bytes], error: Exception) -> None:
        self._refused = [*self._refused, *datums]
        self._why = error.message if isinstance(error, KeytrailError) else type(error).__name__
