"""Events that wait to be delivered: a bounded queue, a spool behind it, and the thread that empties both."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from keytrail.producers.courier import Courier
from keytrail.producers.datum import quick_zigzag
from keytrail.producers.losses import Loss, Losses
from keytrail.producers.sealed import Sealed
from keytrail.producers.spool import Spool
from keytrail.producers.stats import TrailStats
from keytrail.producers.window import Window
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros
from keytrail.schemas.signature import SigningKey

_LOG = logging.getLogger("keytrail.producers")
# Between two looks, so that a busy service's calls are taken many at a time: a look costs its threads time.
_GATHER_S = 0.002
_AGAIN_PAUSE_S = 0.05
# How long the thread leaves what waits to itself, at most.
_LOOK_S = 0.05
_IDLE_S = 1.0
_GRACE_S = 0.5
_WARN_EVERY_S = 60.0
_TELL_LOSS_EVERY_S = 5.0
_WINDOW = 5_000
_WINDOW_BYTES = 4 << 20
# What goes to the spool between two looks at what is delivered: else a busy service would only fill it.
_HANDS = 2
_DRAFT_BYTES = 400  # what Python needs for one beside its texts, about


# An event without its number: when it was recorded, whose it is, the datum's beginning, and what it is to be
# signed with.  A plain tuple, which the garbage collector soon passes over.
Draft = tuple[Micros, bytes, bytes, SigningKey | None]


class Outbox:
    """Takes events from any thread without blocking, numbers them, and gives them to a courier in that order.

    At most `capacity` events and `queue_bytes` wait in memory, beside one window that is under way;
    with a spool they go on there within milliseconds.  Where there is no room the oldest are dropped.
    What is lost is counted, logged at most once a minute, and told as an event, made by `loss_draft`,
    once others are delivered, or at once where there is a spool to keep it.
    """

    def __init__(
        self,
        courier: Courier,
        *,
        name: str,
        producer_id: str,
        capacity: int,
        queue_bytes: int,
        fingerprint: bytes,
        loss_draft: Callable[[Loss], Draft],
        spool: Spool | None = None,
    ) -> None:
        self.courier = courier
        self._name = name
        self._producer_id = producer_id
        self._capacity = capacity
        self._queue_bytes = queue_bytes
        self._fingerprint = fingerprint
        self._loss_draft = loss_draft
        self._spool = spool
        # Reentrant, since a signal handler may record too.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sequence = 0
        self._waiting: deque[tuple[int, Micros, bytes, bytes, SigningKey | None]] = deque()
        # Bytes that were put and dropped, under the lock; and taken, by the worker.
        self._put_bytes = self._dropped_bytes = self._taken_bytes = 0
        self._hand: list[Sealed] = []
        self._window = Window()
        self._delivered = self._spooled = self._left_over = self._lost = 0
        self._losses = Losses()
        self._spool_bytes = 0
        self._spool_fails = False
        self._oldest_spooled: Micros | None = None
        self._idle = False
        self._paused_until = 0.0
        self._give_up_at: float | None = None
        self._warn_at: dict[str, float] = {}
        self._lost_logged = 0
        self._tell_loss_at = 0.0
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver, what is left over in the spool first; else that begins with the first event."""
        with self._lock:
            if self._worker is None and self._give_up_at is None:
                self._worker = threading.Thread(target=self._work, name=f"keytrail-{self._name}", daemon=True)
                self._worker.start()

    @property
    def lost(self) -> int:
        return self._lost

    def stats(self, now: Micros) -> TrailStats:
        """What became of this run's events, as of now."""
        with self._lock:
            held = [sealed.recorded_at for sealed in (*self._window.events[:1], *self._hand[:1])]
            ages = [*held, *([self._oldest_spooled] if self._oldest_spooled is not None else [])]
            # The worker may take the last of them meanwhile.
            with suppress(IndexError):
                ages.append(self._waiting[0][1])
            return TrailStats(
                recorded=self._sequence,
                delivered=self._delivered,
                # What is being sealed stands in no list for a moment: so these are not counted there.
                waiting=self._sequence - self._delivered - self._spooled - self._lost,
                spooled=self._spooled,
                lost=self._lost,
                oldest_waiting_s=max(0, now - min(ages, default=now)) / 1_000_000,
                left_over_delivered=self._left_over,
                spool_bytes=self._spool_bytes,
            )

    def put(self, draft: Draft | None, refusal: str = "") -> None:
        """Keep the event for sending; None stands for one that could not be built, and why."""
        # A thread that waits in line for a lock is given it, and everybody else then waits for that thread.
        while not self._lock.acquire(blocking=False):
            time.sleep(0)
        try:
            self._sequence = number = self._sequence + 1
            if draft is None or self._give_up_at is not None:
                why = refusal if draft is None else "the trail is closed"
                self._count(Loss(self._producer_id, 1, number, number, why))
            elif self._add(number, draft):
                return
        finally:
            self._lock.release()
        self._warn_of_losses()

    def close(self, deadline_s: float) -> int:
        """Send what waits, for at most `deadline_s`; how many events of this run were left undelivered.

        Those that are in the spool stay there for a later run, the others are lost.
        """
        with self._changed:
            first = self._give_up_at is None
            if self._give_up_at is None:
                self._give_up_at = time.monotonic() + deadline_s
            self._changed.notify()
        if self._worker is not None and self._worker is not threading.current_thread():
            # The thread ends by itself at the deadline; the grace is for what it is in the midst of.
            self._worker.join(max(0.0, self._give_up_at - time.monotonic()) + _GRACE_S)
        with self._lock:
            left = self._lose_what_is_left()
        self._warn_at.clear()
        self._warn_of_losses()
        return left + (self._spooled if first else 0)

    def leave_to_parent(self) -> None:
        """In a forked child: nothing of this outbox may be used, or freed, from here on."""
        if self._spool is not None:
            self._spool.leave_to_parent()

    def _add(self, number: int, draft: Draft) -> bool:
        """Whether all that waits still has room; else the oldest were dropped."""
        self._waiting.append((number, *draft))
        self._put_bytes += len(draft[1]) + len(draft[2]) + _DRAFT_BYTES
        if self._idle:
            self._idle = False
            self._changed.notify()
        elif self._worker is None:
            self.start()
        dropped = []
        while self._is_overfull():
            # The worker may have taken the last of them meanwhile.
            with suppress(IndexError):
                old, _, whose, head, _ = self._waiting.popleft()
                self._dropped_bytes += len(whose) + len(head) + _DRAFT_BYTES
                dropped.append(old)
        if dropped:
            why = "too many events waited for Kafka"
            self._count(Loss(self._producer_id, len(dropped), dropped[0], dropped[-1], why))
        return not dropped

    def _is_overfull(self) -> bool:
        waiting = len(self._waiting)
        held = len(self._hand) + (len(self._window.events) if self._window.from_memory else 0)
        return waiting > 0 and (
            waiting + held > self._capacity
            or self._put_bytes - self._dropped_bytes - self._taken_bytes > self._queue_bytes
        )

    def _count(self, loss: Loss) -> None:
        with self._lock:
            self._losses.add(loss)
            if loss.producer_id == self._producer_id:
                self._lost += loss.count

    def _warn_of_losses(self) -> None:
        with self._lock:
            latest, lost = self._losses.latest, self._lost
        if (
            latest is not None
            and lost != self._lost_logged
            and self._warn(
                "lost",
                f"{lost} events lost so far: {latest.why} "
                f"(lately {latest.count}, numbers {latest.first} to {latest.last}).",
            )
        ):
            self._lost_logged = lost

    def _work(self) -> None:
        while self._remaining_s() > 0:
            try:
                if not self._step():
                    break
            except Exception as error:  # noqa: BLE001  # whatever it is, the thread must go on
                self._warn("wait", f"events wait: {_words(error)}")
                time.sleep(_AGAIN_PAUSE_S)
        self._spill(math.inf)
        if self._spool is not None:
            self._spool.close()

    def _step(self) -> bool:
        """One look at what waits; False when closed and done."""
        self._spill()
        if not self._window.events and not self._take_window():
            if self._give_up_at is not None:
                return self._tell_losses() or bool(self._waiting or self._hand)
            self._rest()
            return True
        if (pause_s := self._paused_until - time.monotonic()) > 0:
            time.sleep(min(pause_s, _LOOK_S))
        elif self._advance() and self._give_up_at is None:
            time.sleep(_GATHER_S)
        return True

    def _rest(self) -> None:
        with self._changed:
            if not self._waiting and self._give_up_at is None:
                self._idle = True
                self._changed.wait(_IDLE_S)
                self._idle = False
        self.courier.settle(0)

    def _spill(self, most: float = _HANDS) -> None:
        """Move what waits in memory to the spool, where there is one that takes it, so many hands at most."""
        if self._spool is None:
            return
        if not self._spool_fails:
            # Into the spool as well: so they are known even if this process ends before Kafka is back.
            self._tell_losses()
        try:
            self._spool.adopt()
            while most > 0 and (self._hand or self._take_in_hand()):
                most -= 1
                kept = self._spool.append(self._hand)
                with self._lock:
                    self._oldest_spooled = self._oldest_spooled or self._hand[0].recorded_at
                    self._hand = self._hand[kept:]
                    self._spooled += kept
                if dropped := self._spool.take_losses():
                    self._lose_spooled(dropped)
            self._spool.sync()
            self._spool_fails = False
        except OSError as error:
            self._spool_fails = True
            self._warn(
                "wait", f"events wait in memory, since the spool takes none: {error.strerror or error}."
            )
        self._spool_bytes = self._spool.bytes

    def _lose_spooled(self, dropped: list[Loss]) -> None:
        with self._lock:
            for loss in dropped:
                self._count(loss)
                self._spooled -= loss.count if loss.producer_id == self._producer_id else 0
        self._warn_of_losses()
        self._tell_losses(now=True)

    def _take_in_hand(self) -> bool:
        """Seals the oldest of what waits; False where nothing does."""
        size = 0
        hand = self._hand = list[Sealed]()
        with suppress(IndexError):
            while len(hand) < _WINDOW and size < _WINDOW_BYTES:
                number, recorded_at, whose, head, signer = self._waiting.popleft()
                size += len(whose) + len(head)
                self._taken_bytes += len(whose) + len(head) + _DRAFT_BYTES
                datum = head + quick_zigzag(number)
                signature = None if signer is None else signer.sign(self._fingerprint, datum)
                hand.append(Sealed(number, recorded_at, whose, datum, signature))
        return bool(hand)

    def _take_window(self) -> bool:
        """The oldest events, from the spool first; False where none wait."""
        window = self._spool.read(_WINDOW) if self._spool is not None else []
        from_memory = not window
        # What the spool can take goes there first: so that it is not lost with this process.
        past_spool = self._spool is None or self._spool_fails
        if not window and past_spool and (self._hand or self._take_in_hand()):
            window = self._hand
        with self._lock:
            self._window = Window(window, from_memory)
            self._oldest_spooled = None if from_memory else window[0].recorded_at
            if from_memory and window:
                self._hand = []
        return bool(window)

    def _advance(self) -> bool:
        """Looks after what is under way; True once the fate of all of it is known."""
        turn = self._window.advance(self.courier, min(_LOOK_S, self._remaining_s()))
        if turn.why:
            self._warn("wait", turn.why)
        if turn.pause_s:
            self._paused_until = time.monotonic() + min(turn.pause_s, self._remaining_s())
        if turn.is_over:
            self._settle(self._window)
        return turn.is_over

    def _settle(self, window: Window) -> None:
        """Counts what has arrived and what was refused."""
        own, run = True, self._producer_id
        if self._spool is not None and not window.from_memory:
            own, run = self._spool.reading_own, self._spool.reading_from
            self._spool.advance()
        refused = window.lost
        arrived = len(window.events) - len(refused)
        with self._lock:
            self._window = Window()
            if own:
                self._delivered += arrived
                self._spooled -= 0 if window.from_memory else len(window.events)
            else:
                self._left_over += arrived
            for sealed in refused:
                self._count(Loss(run, 1, sealed.sequence, sealed.sequence, window.refused[sealed.datum]))
        if refused:
            self._warn_of_losses()
        if arrived:
            self._tell_losses()

    def _tell_losses(self, *, now: bool = False) -> bool:
        """Records an event for each loss that has grown since it was told; whether there was one."""
        with self._lock:
            due = now or self._give_up_at is not None or time.monotonic() >= self._tell_loss_at
            if not self._losses.untold or not due:
                return False
            self._tell_loss_at = time.monotonic() + _TELL_LOSS_EVERY_S
            for loss in self._losses.tell():
                self._sequence += 1
                self._add(self._sequence, self._loss_draft(loss))
        return True

    def _lose_what_is_left(self) -> int:
        """Counts what only memory holds; how many events that is."""
        numbers = [sealed.sequence for sealed in self._hand] + [number for number, *_ in self._waiting]
        count = len(numbers)
        if self._window.from_memory:
            self._delivered += len(self._window.events) - self._window.unsettled
            numbers += [sealed.sequence for sealed in self._window.events]
            count += self._window.unsettled
            self._window = Window()
        self._waiting.clear()
        self._hand = []
        if count:
            why = "closed before Kafka took them"
            self._count(Loss(self._producer_id, count, min(numbers), max(numbers), why))
        return count

    def _remaining_s(self) -> float:
        return float("inf") if self._give_up_at is None else max(0.0, self._give_up_at - time.monotonic())

    def _warn(self, about: str, text: str) -> bool:
        now = time.monotonic()
        if now < self._warn_at.get(about, 0.0):
            return False
        self._warn_at[about] = now + _WARN_EVERY_S
        _LOG.warning("%s: %s", self._name, text)
        return True


def _words(error: Exception) -> str:
    return error.message if isinstance(error, KeytrailError) else type(error).__name__
