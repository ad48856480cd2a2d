"""How one block gets into its table exactly once: what to do next, by what came of the last step.

Pure: `inserts` carries the steps out, the tests against a ClickHouse that loses answers.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from keytrail.sinks.clickhouse.container import Writer


@dataclass(frozen=True)
class Rows:
    """Records of one writer's schema; `offsets` and `datums` go together."""

    writer: Writer
    offsets: Sequence[int]
    datums: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.offsets)

    def halves(self) -> tuple[Self, Self]:
        middle = len(self) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def without(self, offsets: frozenset[int]) -> Self:
        keep = [index for index, offset in enumerate(self.offsets) if offset not in offsets]
        return type(self)(self.writer, [self.offsets[i] for i in keep], [self.datums[i] for i in keep])

    def _part(self, part: slice) -> Self:
        return type(self)(self.writer, self.offsets[part], self.datums[part])


@dataclass(frozen=True)
class Insert:
    """Insert these rows, then report `stored`, `failed` or `bad_data`; where no answer comes, give up."""

    rows: Rows


@dataclass(frozen=True)
class Look:
    """Read which offsets are stored, then report `found`, or `failed`."""


@dataclass(frozen=True)
class Rejected:
    """A row that ClickHouse does not take, and its word for why."""

    offset: int
    code: int
    name: str


class Delivery:
    """One block's way.  Not thread-safe.

    After an insert that failed, nothing more is inserted before it is known which rows are stored: one
    that spans months may have stored some.  Rows that cannot be stored are found by halving, and
    `rejected`.  An insert without an answer is beyond this: it may begin later, so the partition is claimed
    and opened anew.
    """

    def __init__(self, groups: Iterable[Rows]) -> None:
        self._todo = deque(group for group in groups if len(group))
        self._look = False
        self._failures = 0
        self.stored_rows = 0
        self.rejected: list[Rejected] = []

    @property
    def failures(self) -> int:
        """How many steps in a row came to nothing because ClickHouse was not there or not able."""
        return self._failures

    def next(self) -> Insert | Look | None:
        """None: every row is stored or rejected."""
        if self._look:
            return Look()
        return Insert(self._todo[0]) if self._todo else None

    def stored(self) -> None:
        self._failures = 0
        self.stored_rows += len(self._todo.popleft())

    def failed(self, *, sent: bool) -> None:
        """The step came to nothing, for a reason that passes; `sent`: ClickHouse had a part in it."""
        self._failures += 1
        self._look = self._look or sent

    def bad_data(self, code: int, name: str) -> None:
        """ClickHouse ended the insert, because of a row."""
        self._failures = 0
        rows = self._todo.popleft()
        if len(rows) == 1:
            self.rejected.append(Rejected(rows.offsets[0], code, name))
        else:
            self._todo.extendleft(reversed(rows.halves()))
            self._look = True

    def found(self, offsets: frozenset[int]) -> None:
        self._look = False
        for _ in range(len(self._todo)):
            rows = self._todo.popleft()
            left = rows.without(offsets)
            self.stored_rows += len(rows) - len(left)
            if len(left):
                self._todo.append(left)
