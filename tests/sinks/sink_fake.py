"""A ClickHouse that loses answers, cuts inserts off, and runs some of them later; and a sink that dies.

It keeps the rules the sink relies on: an insert compares its claim with the highest at the moment it
begins; what has begun is on the list of running statements, and a claim waits until the list is empty.
An insert whose rows lie in several months' parts may be cut off between two of them, by a bad row too.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from keytrail.sinks.clickhouse.claims import Stored
from keytrail.sinks.clickhouse.container import Writer
from keytrail.sinks.clickhouse.delivery import Delivery, Insert, Rejected, Rows, Sift
from keytrail.sinks.clickhouse.positions import Committed, Position, Start

INCARNATION = "an-incarnation"
WRITER = Writer("", (), b"")
MONTHS = 3


class NotSentError(Exception):
    """No connection."""


class NoAnswerError(Exception):
    """Sent, and nothing heard."""


class BadDataError(Exception):
    """A row cannot be stored."""


class PassingError(Exception):
    """An error that passes."""


class FencedError(Exception):
    """A higher claim was made."""


class CrashError(Exception):
    """The sink's process is gone."""


@dataclass
class Request:
    """An INSERT on its way; `begun` once ClickHouse has compared its claim."""

    epoch: int
    block: int
    offsets: list[int]
    begun: bool = False


@dataclass
class FakeClickHouse:
    """One partition's table.  `poison` are the offsets of rows that it does not take."""

    dice: random.Random
    poison: frozenset[int]
    trouble: float
    rows: list[tuple[int, int]] = field(default_factory=list)
    epoch: int = 0
    requests: list[Request] = field(default_factory=list)

    def insert(self, epoch: int, block: int, offsets: list[int]) -> None:
        request = Request(epoch, block, offsets)
        if not self._unlucky():
            return self._run(request)
        match self.dice.randrange(5):
            case 0:
                raise NotSentError
            case 1:  # it may arrive at any time from now on, or never
                self.requests.append(request)
                raise NoAnswerError
            case 2:  # it runs, and the answer is lost
                self._begin(request)
                self.requests.append(request)
                raise NoAnswerError
            case 3:  # it is cut off between two parts
                self._begin(request)
                self._land(request, cut=True)
                raise PassingError
            case _:
                self._run(request)
                raise NoAnswerError

    def claim(self) -> int:
        if self._unlucky():
            raise self.dice.choice([NotSentError, NoAnswerError])
        self.epoch += 1
        for request in [r for r in self.requests if r.begun]:
            self.requests.remove(request)
            self._land(request, cut=self.dice.random() < 0.5)
        return self.epoch

    def offsets(self, first: int) -> frozenset[int]:
        if self._unlucky():
            raise self.dice.choice([NotSentError, NoAnswerError, PassingError])
        return frozenset(offset for _, offset in self.rows if offset >= first)

    def stored(self) -> Stored | None:
        if not self.rows:
            return None
        newest = max(block for block, _ in self.rows)
        return Stored(newest, frozenset(offset for _, offset in self.rows if offset >= newest))

    def time_passes(self) -> None:
        """Some of what is on its way arrives, some of what runs ends."""
        for request in list(self.requests):
            if self.dice.random() < 0.3:
                self.requests.remove(request)
                try:
                    self._begin(request)
                except (FencedError, BadDataError):
                    continue
                self._land(request, cut=self.dice.random() < 0.3)

    def _unlucky(self) -> bool:
        return self.dice.random() < self.trouble

    def _run(self, request: Request) -> None:
        self._begin(request)
        self._land(request, cut=False)

    def _begin(self, request: Request) -> None:
        if request.begun:
            return
        if request.epoch != self.epoch:
            raise FencedError
        if self.poison.intersection(request.offsets):
            good = [o for o in request.offsets if o not in self.poison]
            self._land(Request(request.epoch, request.block, good), cut=True)
            raise BadDataError
        request.begun = True

    def _land(self, request: Request, *, cut: bool) -> None:
        parts = [[o for o in request.offsets if o % MONTHS == month] for month in range(MONTHS)]
        self.dice.shuffle(parts)
        for part in parts[: self.dice.randrange(MONTHS + 1) if cut else MONTHS]:
            self.rows.extend((request.block, offset) for offset in part)


@dataclass
class FakeKafka:
    """One partition: offsets with gaps, and what is committed."""

    offsets: list[int]
    committed: Committed | None = None

    def behind(self, offset: int) -> list[int]:
        return [o for o in self.offsets if o >= offset]


@dataclass
class FakeSink:
    """The sink's core, stepping through one partition; several may be alive, as after a rebalance."""

    clickhouse: FakeClickHouse
    kafka: FakeKafka
    dice: random.Random
    set_aside: Counter[int]
    epoch: int = 0
    position: Position | None = None
    waiting: list[int] = field(default_factory=list)

    def open(self) -> None:
        try:
            self.epoch = self.clickhouse.claim()
        except (NotSentError, NoAnswerError):
            return
        start = Start.after(self.clickhouse.stored(), self.kafka.committed, INCARNATION)
        self.position = Position(start, INCARNATION)
        self.waiting = self.kafka.behind(start.offset or 0)

    def step(self) -> None:
        """Opens the partition, or reads a few records and delivers them; at the end, tells so."""
        if not self.position:
            return self.open()
        batch, self.waiting = self.waiting[:7], self.waiting[7:]
        taken = [offset for offset in batch if self.position.take(offset)]
        if not taken:
            return self.position.reached(batch[-1] + 1 if batch else 0)
        middle = self.dice.randrange(1, len(taken) + 1)
        self.position.seal(taken[middle] if middle < len(taken) else None)
        self._deliver(taken[:middle])
        if middle < len(taken):
            self.position.seal()
            self._deliver(taken[middle:])
        return None

    def _deliver(self, offsets: list[int]) -> None:
        assert self.position
        half = self.dice.randrange(len(offsets) + 1)
        groups = [Rows(WRITER, part, [b""] * len(part)) for part in (offsets[:half], offsets[half:])]
        delivery = Delivery(groups)
        while step := delivery.next():
            self._maybe_die()
            self.clickhouse.time_passes()
            try:
                if isinstance(step, Insert):
                    self.clickhouse.insert(self.epoch, offsets[0], list(step.rows.offsets))
                    delivery.stored()
                elif isinstance(step, Sift):
                    poison = [o for o in step.rows.offsets if o in self.clickhouse.poison]
                    found = poison[: self.dice.randrange(len(poison) + 1)]
                    delivery.sifted([Rejected(offset, "", "") for offset in found])
                else:
                    delivery.found(self.clickhouse.offsets(offsets[0]))
            except NotSentError:
                delivery.failed(sent=False)
            except PassingError:
                delivery.failed(sent=True)
            except NoAnswerError:
                if isinstance(step, Insert):
                    self.position = None
                    raise
                delivery.failed(sent=True)
            except BadDataError:
                delivery.bad_data(0, "")
            except FencedError:
                self.position = None
                raise
        self._maybe_die()
        self.set_aside.update(row.offset for row in delivery.rejected)
        self.position.settle(offsets[0], rows=delivery.stored_rows)
        if self.dice.random() < 0.5:
            self.kafka.committed = self.position.committable()

    def _maybe_die(self) -> None:
        if self.dice.random() < self.clickhouse.trouble / 10:
            raise CrashError
