"""How far a partition is: what to read next, what is dealt with, where to go on after a restart.

Pure bookkeeping; `claims` reads from ClickHouse what is stored, `lanes` holds the records themselves.
A record is dealt with when its row is stored or it is set aside as a dead letter.
"""

import json
from dataclasses import dataclass
from typing import Self

from keytrail.sinks.clickhouse.claims import Stored

_NO_BLOCK = -1


@dataclass(frozen=True)
class Committed:
    """What the sink commits to Kafka: all before `offset` is dealt with, as of the newest `block`.

    The commit is a note on the data, which has the last word: it counts only while the table still holds
    what it held at the time.
    """

    offset: int
    incarnation: str
    block: int

    def note(self) -> str:
        """The part that goes into the commit's metadata."""
        return json.dumps({"incarnation": self.incarnation, "block": self.block})

    @classmethod
    def read(cls, offset: int, note: str | None) -> Self | None:
        """None where nothing is committed, or by something else than this sink."""
        try:
            noted = json.loads(note or "")
            return cls(offset, str(noted["incarnation"]), int(noted["block"])) if offset >= 0 else None
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Start:
    """Where reading begins (None: at the partition's beginning), and what is stored at or behind it."""

    offset: int | None
    stored: frozenset[int]
    block: int

    @classmethod
    def after(cls, stored: Stored | None, committed: Committed | None, incarnation: str) -> Self:
        """The newest insert may have been cut off, so reading begins where that insert began.

        A commit that was made since that insert says that all before it is dealt with: reading begins there.
        """
        block = stored.block if stored else _NO_BLOCK
        offset = stored.block if stored else None
        if committed and committed.incarnation == incarnation and committed.block == block:
            offset = committed.offset
        behind = stored.offsets if stored else ()
        return cls(offset, frozenset(o for o in behind if offset is None or o >= offset), block)


class Position:
    """One partition's progress.  Not thread-safe.

    Records are taken in order, sealed into a block together, and the block is settled before the next
    is sealed.
    """

    def __init__(self, start: Start, incarnation: str) -> None:
        self._incarnation = incarnation
        self._stored = start.stored
        self._block = start.block
        self._next = start.offset or 0
        self._done = start.offset or 0
        self._sealed: int | None = None
        self._open = False

    def take(self, offset: int) -> bool:
        """Whether the record at `offset` belongs into the next block; False: it is dealt with already."""
        if offset < self._next:
            return False
        self._next = offset + 1
        if offset in self._stored:
            return False
        self._open = True
        return True

    def reached(self, offset: int) -> None:
        """The partition's end: no record stands between the last one taken and `offset`.

        What stands there are the marks of transactions, which no reader sees.
        """
        self._next = max(self._next, offset)
        self._skip()

    def seal(self, before: int | None = None) -> None:
        """What was taken is now one block, under way: all of it, or what stands before offset `before`."""
        if self._sealed is not None:
            raise ValueError("a block is under way already")
        self._sealed = self._next if before is None else before
        self._open = before is not None

    def settle(self, block: int, *, rows: int) -> None:
        """The block that began at offset `block` is dealt with; `rows` of it were stored."""
        if self._sealed is None:
            raise ValueError("no block is under way")
        self._done = self._sealed
        self._sealed = None
        if rows:
            self._block = block
        self._skip()

    def committable(self) -> Committed:
        """All before its offset is dealt with."""
        return Committed(self._done, self._incarnation, self._block)

    def _skip(self) -> None:
        if self._sealed is None and not self._open:
            self._done = self._next
