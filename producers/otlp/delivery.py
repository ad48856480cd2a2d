"""Events of many requests into Kafka at once; a request is over when Kafka has acknowledged its events."""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeAlias

from keytrail.producers.courier import Outlet
from keytrail.producers.publisher import DeliveryError
from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import Event

# Less than the ten seconds that exporters wait for an answer.
PATIENCE_S = 6.0
_FULL_PAUSE_S = 0.05
_MOST_EVENTS = 20_000

_Request: TypeAlias = "tuple[Sequence[Event], Future[None]]"


class Delivery:
    """Gives events to `outlet`, in a thread of its own; requests that come meanwhile go together.

    What Kafka has not acknowledged in time may arrive all the same.  Until it has, nothing more is taken, so
    that repeated requests do not fill the memory while Kafka is away.
    """

    def __init__(self, outlet: Outlet, patience_s: float = PATIENCE_S) -> None:
        self._outlet = outlet
        self._patience_s = patience_s
        self._unsettled = False
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="keytrail-otlp", daemon=True)
        self._worker.start()

    def deliver(self, events: Sequence[Event]) -> None:
        """Returns once Kafka has them all.  Raises `UnavailableError` where it has not in time.

        To be called from many threads.
        """
        if not events:
            return
        request: _Request = (events, Future())
        self._waiting.put(request)
        request[1].result()

    @property
    def waiting(self) -> int:
        """How many requests nobody has begun with."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Ends the thread; call it once, and `deliver` no more."""
        self._waiting.put(None)
        self._worker.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._send([event for events, _ in batch for event in events])
            except Exception as error:  # noqa: BLE001  # whatever it is, the requests get to know it
                answer = error if isinstance(error, UnavailableError) else _unavailable(error)
                for _, future in batch:
                    future.set_exception(answer)
            else:
                for _, future in batch:
                    future.set_result(None)

    def _next_batch(self) -> list[_Request]:
        """The requests that wait, one at least; empty at the end."""
        batch: list[_Request] = []
        count = 0
        with suppress(queue.Empty):
            while count < _MOST_EVENTS:
                request = self._waiting.get_nowait() if batch else self._waiting.get()
                if request is None:
                    self._waiting.put(None)
                    break
                batch.append(request)
                count += len(request[0])
        return batch

    def _send(self, events: Sequence[Event]) -> None:
        give_up_at = time.monotonic() + self._patience_s
        if self._unsettled:
            with suppress(DeliveryError):  # told already to those whose events they were
                self._unsettled = self._outlet.flush(0) > 0
            if self._unsettled:
                raise _unavailable(None)
        self._unsettled = True
        for event in events:
            while not self._outlet.publish(event):
                if time.monotonic() > give_up_at:
                    raise _unavailable(None)
                time.sleep(_FULL_PAUSE_S)
        self._unsettled = self._outlet.flush(max(0.0, give_up_at - time.monotonic())) > 0
        if self._unsettled:
            raise _unavailable(None)


def _unavailable(error: Exception | None) -> UnavailableError:
    why = error.message if isinstance(error, KeytrailError) else type(error).__name__ if error else ""
    return UnavailableError(
        f"Kafka did not acknowledge the events{f': {why}' if why else '.'}",
        "Send them again; each counts once.",
    )
