"""Verifies one log: what stands in a source now against what was signed.

Between two checkpoints the leaves must lead from the one root to the other.  Where they do not, the tiles
name the records that differ, if the tiles themselves lead there; else the records of Kafka do, if they are
at hand and lead there; else all that can be said is between which checkpoints something differs.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from keytrail.schemas.records import Micros
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.comparison import (
    Difference,
    Kind,
    Reader,
    Run,
    by_marks,
    by_tiles,
    describe,
    leads_to,
    marks_of,
    tiles_lead_to,
    with_moves,
)
from keytrail.sinks.proof.evidence import Problem, Signed
from keytrail.sinks.proof.merkle import Edge
from keytrail.sinks.proof.sources import Records, Rows, Source
from keytrail.sinks.proof.store import ProofTables
from keytrail.sinks.proof.tiles import Tile

# A row that somebody made up may have any offset.
_BEGINNING = -(1 << 63)


@dataclass
class Verdict:
    """What was found of one log in one source.

    `proved` leaves, up to before offset `before`, are as they were signed; `unchecked` ones are not, because
    they came before the time asked for or the source keeps them no longer.  `doubled` rows are there twice,
    byte for byte.
    """

    log: Log
    source: str
    proved: int = 0
    unchecked: int = 0
    before: int = 0
    doubled: int = 0
    differences: list[Difference] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.differences and not self.problems


@dataclass(frozen=True)
class _Stretch:
    """From one checkpoint, of which `edge` is the edge of the tree, to the next."""

    edge: Edge
    first: int
    goal: Checkpoint


class LogCheck:
    """Not thread-safe.  Methods raise `UnavailableError` where an engine does not answer."""

    def __init__(self, tables: ProofTables | None, source: Rows | Records, reference: Records | None) -> None:
        """`tables` have the tiles; `reference`, Kafka's records, may name what differs in ClickHouse."""
        self._tables = tables
        self._source: Source = source
        self._set_aside = source.set_aside if isinstance(source, Rows) else None
        self._reference = reference
        self._marks: dict[int, bytes] = {}  # how the hashes begin where something differs

    def check(self, log: Log, signed: Sequence[Signed], since: Micros | None = None) -> Verdict:
        """All that is signed of a log, or what was signed after `since` and the checkpoint before that."""
        verdict = Verdict(log, self._source.name)
        self._marks = {}
        start = self._start(log, signed, since)
        edge = start.edge if start and start.edge else Edge()
        first = start.checkpoint.before if start else _BEGINNING
        goals = [each for each in signed if each.checkpoint.size > edge.size]
        verdict.unchecked, verdict.before = edge.size, max(first, 0)
        if not goals:
            return verdict
        end = goals[-1].checkpoint.before
        rows = Reader(self._source.leaves(log, first, end))
        tiles = _Tiles(self._tables, log, edge.size, goals[-1].checkpoint.size)
        known: Edge | None = edge
        for goal in goals:
            run = rows.until(goal.checkpoint.before)
            once = run.without_doubles()
            verdict.doubled += len(run) - len(once)
            own = tiles.until(goal.checkpoint.size)
            if known is None:
                verdict.differences.append(_unclear(first, goal.checkpoint, len(once)))
            else:
                stretch = _Stretch(known, first, goal.checkpoint)
                known = self._check_stretch(verdict, stretch, once, own)
            known = known or (goal.edge.copy() if goal.edge else None)
            first = goal.checkpoint.before
        verdict.before = first
        verdict.differences = with_moves(
            verdict.differences,
            log.partition,
            self._marks,
            lambda offsets: self._source.datums(log, offsets),
        )
        if tiles.damage:
            verdict.problems.append(Problem(log, f"checkpoint_tiles has rows that are none: {tiles.damage}."))
        return verdict

    def _start(self, log: Log, signed: Sequence[Signed], since: Micros | None) -> Signed | None:
        """The checkpoint to begin from; None: the log's beginning."""
        known = [each for each in signed if each.edge is not None]
        old = [each for each in known if since is not None and each.checkpoint.at <= since]
        begin = self._source.begin(log)
        kept = [each for each in known if begin and each.checkpoint.before >= begin]
        starts = [*old[-1:], *(kept[:1] or known[-1:] if begin else ())]
        return max(starts, key=lambda each: each.checkpoint.size, default=None)

    def _check_stretch(
        self, verdict: Verdict, stretch: _Stretch, run: Run, tiles: Sequence[Tile]
    ) -> Edge | None:
        """The edge behind the stretch, None where nothing leads there."""
        log, goal = verdict.log, stretch.goal
        by_rows = leads_to(stretch.edge, run, goal.size, goal.root)
        if by_rows is None and self._set_aside:
            run = run.merged(self._set_aside(log, stretch.first, goal.before))
            by_rows = leads_to(stretch.edge, run, goal.size, goal.root)
        by_nodes = tiles_lead_to(stretch.edge, tiles, goal.size, goal.root)
        if by_rows is not None:
            verdict.proved += goal.size - stretch.edge.size
            if self._tables and (by_nodes is None or not describe(tiles, run)):
                what = (
                    f"checkpoint_tiles was changed between offsets {max(stretch.first, 0)} and {goal.before}."
                )
                verdict.problems.append(Problem(log, what))
            return by_rows
        truth = self._truth(log, stretch)
        if truth is not None:
            marks, edge = dict(truth[0].pairs()), truth[1]
            found = by_marks(marks, run)
        elif by_nodes is not None:
            marks, edge = marks_of(tiles), by_nodes
            found = by_tiles(tiles, run)
        else:
            verdict.differences.append(_unclear(stretch.first, goal, goal.size - stretch.edge.size))
            return None
        self._marks |= marks
        verdict.differences += found
        lost = sum(each.count for each in found if each.kind is not Kind.ADDED)
        verdict.proved += max(0, goal.size - stretch.edge.size - lost)
        return edge

    def _truth(self, log: Log, stretch: _Stretch) -> tuple[Run, Edge] | None:
        """The records of Kafka, where they lead to the signed root."""
        if self._reference is None:
            return None
        reader = Reader(self._reference.leaves(log, stretch.first, stretch.goal.before))
        run = reader.until(stretch.goal.before)
        edge = leads_to(stretch.edge, run, stretch.goal.size, stretch.goal.root)
        return (run, edge) if edge is not None else None


class _Tiles:
    """A log's tiles, checkpoint by checkpoint."""

    def __init__(self, tables: ProofTables | None, log: Log, first: int, end: int) -> None:
        self._tiles = self._read(tables, log, first, end) if tables else iter(())
        self.damage = ""
        self._next: Tile | None = next(self._tiles, None)

    def until(self, leaf: int) -> list[Tile]:
        """Those that begin before a leaf and were not given yet."""
        given = []
        while self._next is not None and self._next.first_leaf < leaf:
            given.append(self._next)
            self._next = next(self._tiles, None)
        # A tile must say where its records are, in order; else nothing can be named by it.
        offsets = [offset for tile in given for offset in tile.offsets.tolist()]
        in_order = all(a < b for a, b in pairwise(offsets)) and all(len(tile.offsets) for tile in given)
        return given if in_order else []

    def _read(self, tables: ProofTables, log: Log, first: int, end: int) -> Iterator[Tile]:
        try:
            yield from tables.tiles(log, first, end)
        except (ValueError, IndexError, struct.error) as error:
            self.damage = str(error)


def _unclear(first: int, goal: Checkpoint, count: int) -> Difference:
    return Difference(Kind.UNCLEAR, max(first, 0), goal.before - 1, count)
