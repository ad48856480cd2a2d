"""The notary: makes the checkpoints of the logs, from Kafka's records, once the sink has dealt with them.

What a checkpoint says: the records of this partition before this offset, read from Kafka as committed, are
these leaves; when it was made, the sink had stored each of them or set it aside.  The leaves are made of
Kafka's bytes, never of ClickHouse's, so a row that is changed before its checkpoint is found as well.

A round does, for each log, in this order:

1. The leaves that came since the last checkpoint are hashed, and their tiles go to ClickHouse.
2. The checkpoint is signed and goes to the topic, with the edge of its tree.
3. The same goes to ClickHouse, and to the anchor.

After a kill the next round goes on from the newest checkpoint in the topic or in ClickHouse; tiles without a
checkpoint mean nothing.  Which records are leaves, and in which order, follows from the topic alone, so two
notaries at once make checkpoints that agree; but their tiles overlap and name nothing any more, so one waits
for the other (`turn`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.cluster import Cluster
from keytrail.sinks.proof.anchor import Anchor
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.journal import Journal
from keytrail.sinks.proof.keyring import Keyring, KeyringFile
from keytrail.sinks.proof.leaf import Leaves
from keytrail.sinks.proof.merkle import Edge
from keytrail.sinks.proof.note import open_note, sign
from keytrail.sinks.proof.progress import dealt_with
from keytrail.sinks.proof.sources import Records
from keytrail.sinks.proof.store import Entry, ProofTables
from keytrail.sinks.proof.tiles import cut
from keytrail.sinks.proof.trust import Handover, Trust
from keytrail.sinks.spans import SpanReader

_log = logging.getLogger("keytrail.notary")

MOST_LEAVES = 100_000  # of one checkpoint: a backlog is several


class ContradictionError(KeytrailError):
    """What is found and what was signed cannot both be true."""


@dataclass
class _State:
    """Of a log: the edge of its tree, and the offset before which every record is in it."""

    edge: Edge
    before: int


class Notary:
    """Makes checkpoints.  Not thread-safe; to be closed."""

    def __init__(
        self, settings: Settings, now: Callable[[], Micros], *, most_leaves: int = MOST_LEAVES
    ) -> None:
        self._now = now
        self._most_leaves = most_leaves
        self._keys = KeyringFile(settings.checkpoint_keys)
        self._cluster = Cluster(settings.kafka)
        self._spans = SpanReader(settings.kafka)
        self._journal = Journal(settings.kafka, self._cluster, self._spans)
        self._tables = ProofTables(ClickHouse(settings.clickhouse, database=settings.database))
        self._leaves = Leaves(Registry(settings.registry))
        self._records = Records(self._cluster, self._spans, self._leaves)
        self._anchor = Anchor(settings.anchor, settings.anchor_command)
        self._states: dict[Log, _State] = {}
        self._published: set[str] | None = None
        self._to_anchor: list[str] = []

    def close(self) -> None:
        self._spans.close()

    @property
    def size(self) -> int:
        """Of the logs' newest checkpoints together, as far as this notary knows them."""
        return sum(state.edge.size for state in self._states.values())

    def round(self) -> list[Checkpoint]:
        """The checkpoints that are due, made and put where they belong.

        Raises, after the other logs had their turn, `UnavailableError` where an engine does not answer,
        `UsageError` where there is no key, `ContradictionError` where the newest checkpoint is not one of
        ours.  Calling it again is safe.
        """
        made: list[Checkpoint] = []
        failed: list[KeytrailError] = []
        for log, end in dealt_with(self._cluster).items():
            try:
                state = self._state(log)
                while state.before < end:
                    made += self._advance(log, state, end)
            except KeytrailError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return made

    def forget(self) -> None:
        """What it knows of the logs, since another notary goes on with them: it is read again when needed."""
        self._states.clear()

    def anchor(self) -> None:
        """Give the anchor the newest checkpoint of each log that it has not had.  Raises `KeytrailError`."""
        self._anchor.put(self._to_anchor)
        self._to_anchor = []

    def _state(self, log: Log) -> _State:
        if (known := self._states.get(log)) is not None:
            return known
        ring = self._keys.current()
        told = [self._opened(ring.trust, log, self._journal.newest(log))]
        told.append(self._opened(ring.trust, log, self._tables.newest(log)))
        in_topic, in_table = told
        newest = max((each for each in told if each), key=lambda each: each[0].size, default=None)
        if newest is None:
            state = _State(Edge(), 0)
        else:
            checkpoint, entry = newest
            if in_topic is None or in_topic[0].size < checkpoint.size:
                self._journal.add(log, entry)
            if in_table is None or in_table[0].size < checkpoint.size:
                self._tables.add_checkpoint(checkpoint, entry)
            state = _State(Edge.of_size(checkpoint.size, entry.edge), checkpoint.before)
            self._remember_for_anchor(entry.note)
        self._states[log] = state
        return state

    def _opened(self, trust: Trust, log: Log, entry: Entry | None) -> tuple[Checkpoint, Entry] | None:
        if entry is None:
            return None
        try:
            checkpoint = trust.open(entry.note)
            edge = Edge.of_size(checkpoint.size, entry.edge)
        except (KeytrailError, ValueError) as error:
            raise ContradictionError(
                f"The newest checkpoint of {log.origin} is not one of ours: {error}",
                "Run `keytrail verify`, and restore the checkpoint, or the keys it was signed with.",
            ) from error
        if checkpoint.log != log or edge.root() != checkpoint.root:
            raise ContradictionError(
                f"The newest checkpoint of {log.origin} and the edge of its tree do not belong together.",
                "Run `keytrail verify`, and restore the checkpoint.",
            )
        return checkpoint, entry

    def _advance(self, log: Log, state: _State, end: int) -> list[Checkpoint]:
        """One checkpoint further, if there is a record; the state changes only when all is written."""
        at = self._now()  # before the keys are read: a key that is retired meanwhile counted then
        ring = self._keys.current()
        self._publish(ring)
        edge, before = state.edge.copy(), end
        offsets: list[int] = []
        hashes: list[bytes] = []
        for batch in self._records.batches(log, state.before, end):
            offsets += [record.offset for record in batch]
            hashes.append(self._leaves.hashes(log.partition, batch))
            if len(offsets) >= self._most_leaves:
                before = offsets[-1] + 1
                break
        if not offsets:  # but marks of transactions, perhaps
            state.before = end
            return []
        size = edge.size + len(offsets)
        tiles = list(cut(size, edge.size, np.array(offsets, dtype=np.int64), b"".join(hashes)))
        for tile in tiles:
            edge.extend(tile.nodes)
        checkpoint = Checkpoint(log, size, edge.root(), before, at)
        entry = Entry(sign(checkpoint.text, [ring.signing]), edge.packed)
        self._tables.add_tiles(log, tiles)
        # From here on the checkpoint may be known to others: whatever fails, the topic is asked what it has.
        self._states.pop(log, None)
        self._journal.add(log, entry)
        self._tables.add_checkpoint(checkpoint, entry)
        state.edge, state.before = edge, before
        self._states[log] = state
        self._remember_for_anchor(entry.note)
        _log.info("%s: %d records, before offset %d", log.origin, size, before)
        return [checkpoint]

    def _publish(self, ring: Keyring) -> None:
        """Changes of keys go out before the first checkpoint of a new key does."""
        if self._published is None:
            self._published = set(self._tables.handovers())
        for note in ring.handovers:
            if note not in self._published:
                handover = Handover.of_text(open_note(note, []).text)
                self._journal.add_handover(note)
                self._tables.add_handover(handover, note)
                self._to_anchor.insert(0, note)
                self._published.add(note)

    def _remember_for_anchor(self, note: str) -> None:
        origin = note.split("\n", 1)[0]
        kept = [other for other in self._to_anchor if other.split("\n", 1)[0] != origin]
        self._to_anchor = [*kept, note]
