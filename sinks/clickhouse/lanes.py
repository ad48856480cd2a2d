"""The records of one partition on their way: gathered, sealed into a block, settled."""

from dataclasses import dataclass
from itertools import accumulate

from confluent_kafka import Message

from keytrail.sinks.clickhouse.claims import Claim
from keytrail.sinks.clickhouse.positions import Position
from keytrail.sinks.clickhouse.tables import Table
from keytrail.sinks.cluster import Place

_OVERHEAD_BYTES = 300  # what a record takes beside its value: the message object, the key


@dataclass(frozen=True)
class FlushRule:
    """A block is sealed when it is large enough, or when its first record has waited long enough.

    That is `age_s`, or twice as long as the latest block took where that is more, up to `longest_s`: what an
    INSERT costs hardly depends on its rows, so on a machine that is full fewer of them are what helps.
    """

    rows: int = 50_000
    size_bytes: int = 12 * 1024 * 1024
    age_s: float = 0.4
    longest_s: float = 1.0


@dataclass(frozen=True)
class Sealed:
    """One block's records; all were read before `read_at`."""

    first: int
    messages: tuple[Message, ...]
    size_bytes: int
    read_at: float


class Lane:
    """One partition's records between Kafka and ClickHouse.  Not thread-safe.

    At most one block of it is under way; what is read meanwhile is gathered for the next.
    """

    def __init__(self, place: Place, table: Table, claim: Claim, position: Position) -> None:
        self.place = place
        self.table = table
        self.claim = claim
        self.position = position
        self.under_way: Sealed | None = None
        self._messages: list[Message] = []
        self._size_bytes = 0
        self._opened_at = 0.0
        self._took_s = 0.0

    @property
    def size_bytes(self) -> int:
        """What the lane holds in memory, gathered and under way."""
        return self._size_bytes + (self.under_way.size_bytes if self.under_way else 0)

    def add(self, message: Message, now: float) -> None:
        """The next record as Kafka gives it; one that is dealt with already is passed over."""
        offset = message.offset()
        if offset is None or not self.position.take(offset):
            return
        if not self._messages:
            self._opened_at = now
        self._messages.append(message)
        self._size_bytes += _size_of(message)

    def due_at(self, rule: FlushRule) -> float:
        """When a block is to be sealed, if nothing more comes; infinite where nothing waits."""
        if not self._messages or self.under_way:
            return float("inf")
        if len(self._messages) >= rule.rows or self._size_bytes >= rule.size_bytes:
            return self._opened_at
        return self._opened_at + max(rule.age_s, min(2 * self._took_s, rule.longest_s))

    def seal(self, rule: FlushRule, now: float) -> Sealed:
        """The gathered records, or as many as make a full block, under way from now on."""
        block, size_bytes = self._messages, self._size_bytes
        if len(block) > rule.rows or size_bytes > rule.size_bytes:
            sizes = accumulate(_size_of(message) for message in block[: rule.rows])
            upto = [size for size in sizes if size <= rule.size_bytes] or [_size_of(block[0])]
            block, size_bytes = block[: len(upto)], upto[-1]
        self._messages = self._messages[len(block) :]
        self._size_bytes -= size_bytes
        self._opened_at = now
        self.position.seal(self._messages[0].offset() if self._messages else None)
        self.under_way = Sealed(block[0].offset() or 0, tuple(block), size_bytes, now)
        return self.under_way

    def settle(self, rows: int, now: float) -> None:
        """The block under way is dealt with; `rows` of it are stored."""
        if self.under_way:
            self._took_s = now - self.under_way.read_at
            self.position.settle(self.under_way.first, rows=rows)
        self.under_way = None


def _size_of(message: Message) -> int:
    return len(message) + _OVERHEAD_BYTES
