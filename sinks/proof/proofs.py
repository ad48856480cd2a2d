"""Proofs as files: that an event is in a log, and that one checkpoint continues another.

The first is a C2SP tlog-proof whose extra data is the leaf (https://c2sp.org/tlog-proof).  The second begins
with a line of its own, then come the hashes, and the two checkpoints.  `docs/check_proof.py` checks both.
"""

import base64
from collections.abc import Sequence

from keytrail.schemas.errors import KeytrailError
from keytrail.sinks.clickhouse.http import ClickHouse, whole
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.comparison import Reader
from keytrail.sinks.proof.leaf import NORMAL, head
from keytrail.sinks.proof.merkle import (
    Known,
    MissingNodeError,
    Prover,
    is_consistent,
    leaf_hash,
    root_of_inclusion,
)
from keytrail.sinks.proof.sources import Rows
from keytrail.sinks.proof.store import Entry, ProofTables
from keytrail.sinks.proof.tiles import Tile
from keytrail.sinks.proof.trust import Trust

INCLUSION = "c2sp.org/tlog-proof@v1"
CONSISTENCY = "keytrail/consistency-proof@v1"
_VERIFY = "Run `keytrail verify` to see what was changed."
_PLACES = (
    "SELECT DISTINCT toString(kafka_incarnation) AS incarnation, kafka_partition, kafka_offset FROM events"
    " WHERE toString(event_id) = lower({event:String}) ORDER BY kafka_partition, kafka_offset"
)


class Proving:
    """Makes proofs out of what ClickHouse has, and checks each before it gives it away.  Not thread-safe."""

    def __init__(self, clickhouse: ClickHouse, rows: Rows, trust: Trust) -> None:
        self._clickhouse = clickhouse
        self._tables = ProofTables(clickhouse)
        self._rows = rows
        self._trust = trust
        trust.follow(self._tables.handovers())

    def inclusion(self, event_id: str) -> str:
        """The proof of the first row with this id, by the newest checkpoint.

        Raises `KeytrailError` where there is none, it is not signed yet, or it is not as it was signed.
        """
        places = self._clickhouse.rows(_PLACES, params={"event": event_id})
        if not places:
            raise KeytrailError(f"There is no event {event_id}.", "Look for it with `keytrail sql`.")
        log = Log(str(places[0]["incarnation"]), whole(places[0], "kafka_partition"))
        offset = whole(places[0], "kafka_offset")
        signed = [each for each in self._signed(log) if each[0].before > offset]
        if not signed:
            raise KeytrailError(f"The event {event_id} is in no checkpoint yet.", "Try again in a minute.")
        checkpoint, entry = signed[-1]
        tiles = list(self._tables.tiles(log, 0, checkpoint.size))
        own = next((tile for tile in tiles if offset in tile.offsets), None)
        datum = self._rows.datums(log, [offset]).get(offset)
        if own is None or datum is None:
            raise KeytrailError(f"The event {event_id} is at a place where none was signed.", _VERIFY)
        leaf = head(NORMAL, log.partition, offset) + datum
        index = own.first_leaf + own.offsets.tolist().index(offset)
        path = self._path(tiles, self._leaves(log, own), index, checkpoint.size)
        if root_of_inclusion(leaf_hash(leaf), index, checkpoint.size, path) != checkpoint.root:
            raise KeytrailError(f"The event {event_id}, or one near it, is not as it was signed.", _VERIFY)
        lines = [INCLUSION, f"extra {_text(leaf)}", f"index {index}", *map(_text, path)]
        return "".join(f"{line}\n" for line in lines) + "\n" + entry.note

    def consistency(self, partition: int, old: int, new: int | None) -> str:
        """The proof that a partition's checkpoint of `new` records continues that of `old` ones.

        `new` None is the newest.  Raises `KeytrailError` where there is no such checkpoint or no proof.
        """
        for log in reversed([log for log in self._tables.logs() if log.partition == partition]):
            signed = {checkpoint.size: (checkpoint, entry) for checkpoint, entry in self._signed(log)}
            wanted = max(signed) if new is None else new
            if old in signed and wanted in signed and old <= wanted:
                return self._consistency(log, signed[old], signed[wanted])
        raise KeytrailError(
            f"Partition {partition} has no checkpoints of {old} and {new or 'more'} records.",
            "`keytrail sql 'SELECT kafka_partition, size FROM checkpoints'` shows which there are.",
        )

    def _consistency(self, log: Log, old: tuple[Checkpoint, Entry], new: tuple[Checkpoint, Entry]) -> str:
        tiles = list(self._tables.tiles(log, 0, new[0].size))
        try:
            path = Prover(_known(tiles, {})).consistency(old[0].size, new[0].size)
        except MissingNodeError as error:
            raise KeytrailError("checkpoint_tiles is not complete.", _VERIFY) from error
        if not is_consistent(old[0].size, old[0].root, new[0].size, new[0].root, path):
            raise KeytrailError("The checkpoints do not continue each other.", _VERIFY)
        lines = [CONSISTENCY, *map(_text, path)]
        return "".join(f"{line}\n" for line in lines) + f"\n{old[1].note}\n{new[1].note}"

    def _signed(self, log: Log) -> list[tuple[Checkpoint, Entry]]:
        return [(self._trust.open(entry.note), entry) for entry in self._tables.entries(log)]

    def _leaves(self, log: Log, tile: Tile) -> dict[tuple[int, int], bytes]:
        """The hashes of a tile's leaves, made of the rows that there are now."""
        end = int(tile.offsets[-1]) + 1
        run = Reader(self._rows.leaves(log, int(tile.offsets[0]), end)).until(end).without_doubles()
        run = run.merged(self._rows.set_aside(log, int(tile.offsets[0]), end))
        places = {offset: tile.first_leaf + at for at, offset in enumerate(tile.offsets.tolist())}
        return {(0, places[offset]): hashed for offset, hashed in run.pairs() if offset in places}

    def _path(
        self, tiles: Sequence[Tile], leaves: dict[tuple[int, int], bytes], index: int, size: int
    ) -> list[bytes]:
        try:
            return Prover(_known(tiles, leaves)).inclusion(index, size)
        except MissingNodeError as error:
            raise KeytrailError("Rows near the event are missing.", _VERIFY) from error


def _known(tiles: Sequence[Tile], leaves: dict[tuple[int, int], bytes]) -> Known:
    nodes = {(node.level, node.index): node.hash for tile in tiles for node in tile.nodes} | leaves
    return lambda level, index: nodes.get((level, index))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
