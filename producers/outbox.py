"""Events that wait to be published: a bounded queue and the thread that empties it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from keytrail.producers.publisher import DeliveryError
from keytrail.schemas.errors import KeytrailError, SchemaError, UnavailableError
from keytrail.schemas.records import Event

_LOG = logging.getLogger("keytrail.producers")
_FULL_PAUSE_S = 0.05
_AWAY_PAUSE_S = 1.0
_IDLE_S = 1.0
# Between two looks, so that a busy service's calls are taken many at a time: a look costs its threads time.
_GATHER_S = 0.002
_WARN_EVERY_S = 60.0


class Outlet(Protocol):
    """Where events go; `EventPublisher` is one.  Called from one thread only."""

    def publish(self, record: Event) -> bool: ...

    def check(self) -> None: ...

    def flush(self, timeout_s: float) -> int: ...


class Outbox:
    """Takes events from any thread without blocking, and gives them to `outlet` in the same order.

    While the outlet is full or away the events wait, up to `capacity` of them.  What cannot be
    kept or delivered is counted in `lost` and logged, at most once a minute.
    """

    def __init__(self, outlet: Outlet, capacity: int, name: str) -> None:
        self._outlet = outlet
        self._capacity = capacity
        self._name = name
        self._changed = threading.Condition()
        self._waiting: list[Event] = []
        self._at_hand: deque[Event] = deque()  # the worker's, oldest first
        self._idle = False
        self._give_up_at: float | None = None
        self._undelivered = 0
        self._lost = 0
        self._warn_at = 0.0
        self._worker = threading.Thread(target=self._work, name=f"keytrail-{name}", daemon=True)
        self._worker.start()

    @property
    def lost(self) -> int:
        with self._changed:
            return self._lost

    def put(self, event: Event) -> str | None:
        """Keep the event for sending; or why it cannot be kept, for the caller to tell `lose`."""
        with self._changed:
            if self._give_up_at is not None:
                return "the trail is closed"
            if len(self._waiting) + len(self._at_hand) >= self._capacity:
                return f"{self._capacity} events already wait for Kafka"
            self._waiting.append(event)
            if self._idle:
                self._idle = False
                self._changed.notify()
        return None

    def lose(self, count: int, why: str) -> None:
        """Count events that will not arrive."""
        with self._changed:
            self._lost += count
            lost = self._lost
        self._warn(f"{lost} events lost so far: {why}.")

    def close(self, deadline_s: float) -> int:
        """Send what waits, for at most `deadline_s`; how many events were left undelivered and so lost."""
        with self._changed:
            if self._give_up_at is None:
                self._give_up_at = time.monotonic() + deadline_s
            self._changed.notify()
        self._worker.join(max(0.0, self._give_up_at - time.monotonic()))
        with self._changed:
            left = len(self._waiting) + len(self._at_hand) + self._undelivered
            self._waiting.clear()
            self._at_hand.clear()
            self._undelivered = 0
        if left:
            self._warn_at = 0.0
            self.lose(left, "closed before Kafka took them")
        return left

    def _work(self) -> None:
        while self._more() and self._all_sent():
            time.sleep(_GATHER_S)
        left = self._flushed()
        with self._changed:
            self._undelivered = left

    def _more(self) -> bool:
        """Takes what waits in hand, once there is something; False when closed and empty."""
        while True:
            with self._changed:
                if not self._waiting and self._give_up_at is None:
                    self._idle = True
                    self._changed.wait(_IDLE_S)
                    self._idle = False
                if self._waiting:
                    self._at_hand.extend(self._waiting)
                    self._waiting.clear()
                    return True
                if self._give_up_at is not None:
                    return False
            self._settled(self._outlet.check)

    def _all_sent(self) -> bool:
        """Sends what is at hand; False where time ran out."""
        while (event := self._oldest()) is not None:
            if not self._sent(event):
                return False
            with suppress(IndexError):
                self._at_hand.popleft()
        return True

    def _oldest(self) -> Event | None:
        # Closing clears it from another thread.
        with suppress(IndexError):
            return self._at_hand[0]
        return None

    def _sent(self, event: Event) -> bool:
        """Offers the event until it is taken or found impossible; False where time ran out."""
        while self._remaining_s() > 0:
            try:
                if self._outlet.publish(event):
                    return True
                time.sleep(_FULL_PAUSE_S)
            except (UnavailableError, SchemaError) as error:
                self._warn(f"events wait: {error}")
                time.sleep(_AWAY_PAUSE_S)
            except Exception as error:  # noqa: BLE001  # one bad event must not end the thread
                self._lose_by(error)
                return True
        return False

    def _flushed(self) -> int:
        left = None
        while left is None:
            left = self._settled(lambda: self._outlet.flush(self._remaining_s()))
        return left

    def _settled(self, call: Callable[[], int | None]) -> int | None:
        """The call's answer; None where it told of failed deliveries, which are counted."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # failures are counted and the thread goes on
            self._lose_by(error)
            return None

    def _lose_by(self, error: Exception) -> None:
        count = error.count if isinstance(error, DeliveryError) else 1
        self.lose(count, error.message if isinstance(error, KeytrailError) else type(error).__name__)

    def _remaining_s(self) -> float:
        return float("inf") if self._give_up_at is None else max(0.0, self._give_up_at - time.monotonic())

    def _warn(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + _WARN_EVERY_S
            _LOG.warning("%s: %s", self._name, text)
