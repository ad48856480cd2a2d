"""How one block gets into its table exactly once: what to do next, by what came of the last step.

Pure: `inserts` carries the steps out, the tests against a ClickHouse that loses answers.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from keytrail.sinks.clickhouse.container import Writer


@dataclass(frozen=True)
class Rows:
    """Records of one writer's schema; `offsets` and `datums` go together.

    `sifted`: the bad ones that are easy to find have been taken out.
    """

    writer: Writer
    offsets: Sequence[int]
    datums: Sequence[bytes]
    sifted: bool = False

    def __len__(self) -> int:
        return len(self.offsets)

    def halves(self) -> tuple[Self, Self]:
        middle = len(self) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def without(self, offsets: frozenset[int]) -> Self:
        keep = [index for index, offset in enumerate(self.offsets) if offset not in offsets]
        return replace(self, offsets=[self.offsets[i] for i in keep], datums=[self.datums[i] for i in keep])

    def _part(self, part: slice) -> Self:
        return replace(self, offsets=self.offsets[part], datums=self.datums[part])


@dataclass(frozen=True)
class Insert:
    """Insert these rows, then report `stored`, `failed` or `bad_data`; where no answer comes, give up."""

    rows: Rows


@dataclass(frozen=True)
class Look:
    """Read which offsets are stored, then report `found`, or `failed`."""


@dataclass(frozen=True)
class Sift:
    """Look through these rows for bad ones, then report `sifted`."""

    rows: Rows


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be stored; `reason` and `detail` as in a dead letter."""

    offset: int
    reason: str
    detail: str


class Delivery:
    """One block's way.  Not thread-safe.

    After an insert that failed, nothing more is inserted before it is known which rows are stored: one
    that spans months may have stored some.  Rows that cannot be stored are sifted out, or else found by
    halving, and `rejected`.  An insert without an answer is beyond this: it may begin later, so the
    partition is claimed and opened anew.
    """

    def __init__(self, groups: Iterable[Rows]) -> None:
        self._todo = deque(group for group in groups if len(group))
        self._look = False
        self._sift = False
        self._failures = 0
        self.stored_rows = 0
        self.rejected: list[Rejected] = []

    @property
    def failures(self) -> int:
        """How many steps in a row came to nothing because ClickHouse was not there or not able."""
        return self._failures

    def next(self) -> Insert | Look | Sift | None:
        """None: every row is stored or rejected."""
        if self._look:
            return Look()
        if not self._todo:
            return None
        return Sift(self._todo[0]) if self._sift else Insert(self._todo[0])

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
        self._look = True
        rows = self._todo[0]
        if not rows.sifted:
            self._sift = True
        elif len(rows) > 1:
            self._todo.extendleft(reversed(self._todo.popleft().halves()))
        else:
            detail = f"ClickHouse refuses the row: code {code} ({name})."
            self._reject([Rejected(rows.offsets[0], "rejected_by_clickhouse", detail)])

    def sifted(self, bad: Sequence[Rejected]) -> None:
        """These of the rows are bad; the others may be."""
        self._sift = False
        self._todo[0] = replace(self._todo[0], sifted=True)
        self._reject(bad)

    def found(self, offsets: frozenset[int]) -> None:
        self._look = False
        for _ in range(len(self._todo)):
            rows = self._todo.popleft()
            left = rows.without(offsets)
            self.stored_rows += len(rows) - len(left)
            if len(left):
                self._todo.append(left)

    def _reject(self, bad: Sequence[Rejected]) -> None:
        self.rejected.extend(bad)
        left = self._todo.popleft().without(frozenset(row.offset for row in bad))
        if len(left):
            self._todo.appendleft(left)
