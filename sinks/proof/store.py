"""Checkpoints, tiles and changes of keys in ClickHouse.  Nothing that is read here is trusted."""

import json
import re
import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keytrail.sinks.clickhouse.http import ClickHouse, Row
from keytrail.sinks.proof.checkpoint import Checkpoint, Log, utc
from keytrail.sinks.proof.tiles import Tile, pack, unpack
from keytrail.sinks.proof.trust import Handover

_TIMEOUT_S = 300.0
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_TILES = (
    "INSERT INTO checkpoint_tiles"
    " (kafka_incarnation, kafka_partition, size, first_leaf, offsets, tags, more_tags, nodes)"
    " SETTINGS async_insert = 0 FORMAT RowBinary"
)
_ADD = (
    "INSERT INTO {table} SETTINGS async_insert = 0, date_time_input_format = 'best_effort' FORMAT JSONEachRow"
)
_NEWEST = (
    "SELECT note, edge FROM checkpoints"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}"
    " ORDER BY size DESC, made_at DESC LIMIT 1"
)
_NOTES = (
    "SELECT note, any(edge) AS edge, any(size) AS size FROM checkpoints"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}"
    " GROUP BY note ORDER BY size, note"
)
# Tiles of a checkpoint that is not there were made by a run that was cut off before it.
_READ_TILES = (
    "SELECT size, first_leaf, offsets, tags, more_tags, nodes FROM checkpoint_tiles"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}"
    " AND first_leaf >= {first:Int64} AND first_leaf < {end:Int64} AND size IN (SELECT size FROM checkpoints"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32})"
    " ORDER BY first_leaf, size LIMIT 1 BY first_leaf, size FORMAT RowBinary"
)
_PAGE_LEAVES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A checkpoint's note, and the edge of its tree (`merkle.Edge.packed`)."""

    note: str
    edge: bytes


class ProofTables:
    """Thread-safe.  Methods raise `UnavailableError` and `RefusedError`; each may be called again."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def add_tiles(self, log: Log, tiles: Iterable[Tile]) -> None:
        packed = uuid.UUID(log.incarnation).bytes
        head = packed[7::-1] + packed[:7:-1] + struct.pack("<i", log.partition)
        rows = [head + pack(tile) for tile in tiles]
        if rows:
            self._clickhouse.run(_TILES, data=rows, timeout_s=_TIMEOUT_S)

    def add_checkpoint(self, checkpoint: Checkpoint, entry: Entry) -> None:
        row = {
            "kafka_incarnation": checkpoint.log.incarnation,
            "kafka_partition": checkpoint.log.partition,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "before": checkpoint.before,
            "made_at": utc(checkpoint.at),
            "note": entry.note,
            "edge": entry.edge.hex(),
        }
        self._clickhouse.run(_ADD.format(table="checkpoints"), data=[json.dumps(row).encode()])

    def add_handover(self, handover: Handover, note: str) -> None:
        row = {"key": handover.key.text, "since": utc(handover.at), "note": note}
        self._clickhouse.run(_ADD.format(table="checkpoint_keys"), data=[json.dumps(row).encode()])

    def handovers(self) -> list[str]:
        rows = self._clickhouse.rows("SELECT DISTINCT note FROM checkpoint_keys")
        return [str(row["note"]) for row in rows]

    def logs(self) -> list[Log]:
        """Those that have a checkpoint."""
        rows = self._clickhouse.rows(
            "SELECT DISTINCT toString(kafka_incarnation) AS incarnation, kafka_partition FROM checkpoints"
            " ORDER BY incarnation, kafka_partition"
        )
        return [Log(str(row["incarnation"]), int(str(row["kafka_partition"]))) for row in rows]

    def newest(self, log: Log) -> Entry | None:
        rows = self._clickhouse.rows(_NEWEST, params=_params(log))
        return _entry(rows[0]) if rows else None

    def entries(self, log: Log) -> list[Entry]:
        """All checkpoints of a log, by size."""
        rows = self._clickhouse.rows(_NOTES, params=_params(log), timeout_s=_TIMEOUT_S)
        return [_entry(row) for row in rows]

    def tiles(self, log: Log, first: int, end: int) -> Iterator[Tile]:
        """The tiles that begin with one of these leaves, in order; those with a checkpoint.

        Raises `ValueError`, `IndexError` or `struct.error` where one is none.
        """
        for start in range(first, end, _PAGE_LEAVES):
            page = {**_params(log), "first": start, "end": min(end, start + _PAGE_LEAVES)}
            data = self._clickhouse.run(_READ_TILES, params=page, timeout_s=_TIMEOUT_S)
            at = 0
            while at < len(data):
                tile, at = unpack(data, at)
                yield tile


def _entry(row: Row) -> Entry:
    edge = str(row["edge"])
    return Entry(str(row["note"]), bytes.fromhex(edge) if _HEX.fullmatch(edge) else b"")


def _params(log: Log) -> dict[str, str | int]:
    return {"incarnation": log.incarnation, "partition": log.partition}
