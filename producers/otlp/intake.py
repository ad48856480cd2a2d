"""What both doors do with a request: map it, deliver its events, answer it, and count."""

import threading
from dataclasses import dataclass

from google.protobuf.message import Message

from keytrail.producers.clock import Clock, system_clock
from keytrail.producers.otlp.delivery import Delivery
from keytrail.producers.otlp.signals import Signal


@dataclass
class Counts:
    """Since the start: items that became events, carry no key, were refused; and requests to come again."""

    accepted: int = 0
    ignored: int = 0
    rejected: int = 0
    unavailable: int = 0


class Intake:
    """Thread-safe."""

    def __init__(self, delivery: Delivery, clock: Clock = system_clock) -> None:
        self._delivery = delivery
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = Counts()

    def take(self, signal: Signal, request: Message) -> Message:
        """The response, once Kafka has the events.  Raises `UnavailableError`: nothing is promised then."""
        mapped = signal.map(request, self._clock())
        try:
            self._delivery.deliver(mapped.events)
        except BaseException:
            with self._lock:
                self._counts.unavailable += 1
            raise
        with self._lock:
            self._counts.accepted += len(mapped.events)
            self._counts.ignored += mapped.ignored
            self._counts.rejected += mapped.rejected
        return signal.response(mapped)

    @property
    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(vars(self._counts))
