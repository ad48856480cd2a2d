"""Leaves as they should be against leaves as they are: which offsets differ, and how.  Pure functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from keytrail.sinks.proof.leaf import NORMAL, head
from keytrail.sinks.proof.merkle import HASH_BYTES, Edge, leaf_hash, range_nodes
from keytrail.sinks.proof.tiles import Offsets, Tile, tags_of

_MOST_MOVED = 1_000


class Kind(StrEnum):
    """What became of a record."""

    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"
    REORDERED = "reordered"  # its content stands at another record's place
    UNCLEAR = "unclear"  # something in this range differs


@dataclass(frozen=True)
class Difference:
    """Of the records from offset `first` to `last`, both included; `count` of them."""

    kind: Kind
    first: int
    last: int
    count: int = 1


@dataclass(frozen=True)
class Run:
    """Leaves in the order of their offsets; `hashes` joined."""

    offsets: Offsets
    hashes: bytes

    @classmethod
    def none(cls) -> Self:
        return cls(np.empty(0, dtype=np.int64), b"")

    @classmethod
    def of(cls, leaves: Mapping[int, bytes]) -> Self:
        """From hashes by offset."""
        ordered = sorted(leaves)
        return cls(np.array(ordered, dtype=np.int64), b"".join([leaves[offset] for offset in ordered]))

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, first: int, end: int) -> "Run":
        """From place `first` to before `end`."""
        return Run(self.offsets[first:end], self.hashes[first * HASH_BYTES : end * HASH_BYTES])

    def pairs(self) -> Iterator[tuple[int, bytes]]:
        for at, offset in enumerate(self.offsets.tolist()):
            yield offset, self.hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def joined(self, other: "Run") -> "Run":
        """With leaves that follow."""
        return Run(np.concatenate((self.offsets, other.offsets)), self.hashes + other.hashes)

    def without_doubles(self) -> "Run":
        """A leaf that is there twice, byte for byte, counts once."""
        if len(self) < 2 or np.all(np.diff(self.offsets) > 0):
            return self
        once = list(dict.fromkeys(self.pairs()))
        return Run(np.array([offset for offset, _ in once], dtype=np.int64), b"".join(h for _, h in once))

    def merged(self, more: Mapping[int, bytes]) -> "Run":
        """With leaves at offsets that it has not."""
        have = set(self.offsets.tolist())
        every = [*self.pairs(), *((offset, h) for offset, h in more.items() if offset not in have)]
        every.sort(key=lambda pair: pair[0])
        return Run(np.array([offset for offset, _ in every], dtype=np.int64), b"".join(h for _, h in every))


class Reader:
    """Takes runs one after the other, cut anywhere, and gives them by offset.  Not thread-safe."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = iter(runs)
        self._left = Run.none()

    def until(self, end: int) -> Run:
        """What comes before offset `end` and was not given yet."""
        parts = []
        while True:
            at = int(np.searchsorted(self._left.offsets, end))
            parts.append(self._left.part(0, at))
            self._left = self._left.part(at, len(self._left))
            if len(self._left):
                break
            following = next(self._runs, None)
            if following is None:
                break
            self._left = following
        return Run(np.concatenate([part.offsets for part in parts]), b"".join(part.hashes for part in parts))


def leads_to(edge: Edge, run: Run, size: int, root: bytes) -> Edge | None:
    """The edge with these leaves behind it, if the tree then has this size and this root."""
    if edge.size + len(run) != size:
        return None
    grown = edge.copy()
    grown.extend(range_nodes(edge.size, run.hashes))
    return grown if grown.root() == root else None


def tiles_lead_to(edge: Edge, tiles: Sequence[Tile], size: int, root: bytes) -> Edge | None:
    """As `leads_to`, for the nodes of tiles."""
    grown = edge.copy()
    try:
        for tile in tiles:
            grown.extend(tile.nodes)
    except ValueError:
        return None
    return grown if grown.size == size and grown.root() == root else None


def describe(tiles: Sequence[Tile], run: Run) -> bool:
    """Whether the tiles' offsets and tags are those of these leaves."""
    if any(sum(map(len, each)) != len(run) for each in ([t.offsets for t in tiles], [t.tags for t in tiles])):
        return False
    if not tiles:
        return True
    tags, known = (np.concatenate(each) for each in zip(*((t.tags, t.tag_masks) for t in tiles), strict=True))
    offsets = np.concatenate([tile.offsets for tile in tiles])
    return np.array_equal(offsets, run.offsets) and np.array_equal(tags, tags_of(run.hashes) & known)


def by_tiles(tiles: Sequence[Tile], run: Run) -> list[Difference]:
    """What differs, where the tiles' nodes can be trusted and their offsets and tags are at least a hint."""
    found: list[Difference] = []
    at = 0
    for number, tile in enumerate(tiles):
        last = number == len(tiles) - 1
        end = len(run) if last else int(np.searchsorted(run.offsets, tile.offsets[-1], side="right"))
        part = run.part(at, max(at, end))
        at = max(at, end)
        same = (
            len(part) == len(tile.offsets) and tuple(range_nodes(tile.first_leaf, part.hashes)) == tile.nodes
        )
        if not same:
            first, end_offset = int(tile.offsets[0]), int(tile.offsets[-1])
            unclear = Difference(Kind.UNCLEAR, first, end_offset, len(tile.offsets))
            found += by_marks(dict(tile.marks()), part) or [unclear]
    return found


def marks_of(tiles: Sequence[Tile]) -> dict[int, bytes]:
    """How the hash at each offset begins."""
    return {offset: mark for tile in tiles for offset, mark in tile.marks()}


def by_marks(marks: Mapping[int, bytes], run: Run) -> list[Difference]:
    """What differs from the records at these offsets, whose hashes begin so."""
    found: list[Difference] = []
    seen: dict[int, list[bool]] = {}
    for offset, hashed in run.pairs():
        mark = marks.get(offset)
        if mark is None:
            found.append(Difference(Kind.ADDED, offset, offset))
        else:
            seen.setdefault(offset, []).append(hashed.startswith(mark))
    for offset, fits in seen.items():
        if not any(fits):
            found.append(Difference(Kind.CHANGED, offset, offset))
        found += [Difference(Kind.ADDED, offset, offset)] * (len(fits) - 1)
    found += _ranges(list(marks), seen)
    return sorted(found, key=lambda difference: difference.first)


def _ranges(expected: Sequence[int], there: Mapping[int, object]) -> Iterator[Difference]:
    """What was removed; neighbours together."""
    first: int | None = None
    last = count = 0
    for offset in expected:
        if offset not in there:
            first, last, count = (offset, offset, 1) if first is None else (first, offset, count + 1)
        elif first is not None:
            yield Difference(Kind.REMOVED, first, last, count)
            first = None
    if first is not None:
        yield Difference(Kind.REMOVED, first, last, count)


def with_moves(
    differences: Sequence[Difference],
    partition: int,
    marks: Mapping[int, bytes],
    datums: Callable[[Sequence[int]], Mapping[int, bytes]],
) -> list[Difference]:
    """The same, where a record's content stands at another's place as `REORDERED`.

    `datums` gives the datums that stand at some offsets now.
    """
    places = [
        o for each in differences if each.kind in (Kind.CHANGED, Kind.REMOVED) for o in _places(each, marks)
    ]
    holders = [each.first for each in differences if each.kind in (Kind.CHANGED, Kind.ADDED)]
    if not places or not holders or len(places) > _MOST_MOVED or len(holders) > _MOST_MOVED:
        return list(differences)
    held = datums(holders)
    moved: dict[int, int] = {}
    for holder, datum in held.items():
        for place in places:
            if leaf_hash(head(NORMAL, partition, place) + datum).startswith(marks[place]):
                moved[place] = holder
    if not moved:
        return list(differences)
    gone, came = set(moved), set(moved.values())
    kept: list[Difference] = []
    for each in differences:
        if each.kind is Kind.REMOVED:
            kept += _ranges([o for o in _places(each, marks) if o not in gone], {})
        elif each.kind is Kind.ADDED:
            kept += [] if each.first in came else [each]
        elif each.first not in gone:
            kept.append(each)
    kept += [Difference(Kind.REORDERED, place, place) for place in gone]
    return sorted(kept, key=lambda difference: difference.first)


def _places(difference: Difference, marks: Mapping[int, bytes]) -> list[int]:
    if difference.count == 1:
        return [difference.first] if difference.first in marks else []
    return [offset for offset in marks if difference.first <= offset <= difference.last]
