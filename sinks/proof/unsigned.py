"""Rows behind the newest checkpoints: not signed yet, or never to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keytrail.sinks.clickhouse.http import ClickHouse, Param, Row, whole
from keytrail.sinks.proof.checkpoint import Log

PATIENCE_S = 3_600
_AHEAD_S = 300  # clocks may differ a little
_TIMEOUT_S = 300.0
_BEHIND = (
    "SELECT count() AS n, min(kafka_offset) AS first, max(kafka_offset) AS last,"
    " dateDiff('second', min(inserted_at), now()) AS age,"
    " dateDiff('second', now(), max(inserted_at)) AS ahead FROM events"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}"
    " AND kafka_offset >= {before:Int64}"
)
_OF_NO_LOG = (
    "SELECT toString(kafka_incarnation) AS incarnation, kafka_partition, count() AS n,"
    " min(kafka_offset) AS first, max(kafka_offset) AS last,"
    " dateDiff('second', min(inserted_at), now()) AS age,"
    " dateDiff('second', now(), max(inserted_at)) AS ahead FROM events"
    " WHERE (toString(kafka_incarnation), kafka_partition)"
    " NOT IN (SELECT arrayJoin(arrayZip({incarnations:Array(String)}, {partitions:Array(Int32)})))"
    " GROUP BY kafka_incarnation, kafka_partition ORDER BY incarnation, kafka_partition"
)


@dataclass(frozen=True)
class Unsigned:
    """Rows of a log that no checkpoint covers; the oldest was stored `age_s` seconds ago.

    The newest says it was stored `ahead_s` seconds from now, which is below zero for one that was stored.
    """

    log: Log
    rows: int
    first: int
    last: int
    age_s: int
    ahead_s: int

    @property
    def overdue(self) -> bool:
        """A notary that runs would have signed them long ago, or one says it is yet to be stored."""
        return self.age_s > PATIENCE_S or self.ahead_s > _AHEAD_S


def unsigned(clickhouse: ClickHouse, before: Mapping[Log, int]) -> Sequence[Unsigned]:
    """By log; `before` has the newest checkpoint's offset of each.  Raises `UnavailableError`."""
    found = []
    for log, offset in before.items():
        [row] = clickhouse.rows(
            _BEHIND,
            params={"incarnation": log.incarnation, "partition": log.partition, "before": offset},
            timeout_s=_TIMEOUT_S,
        )
        if whole(row, "n"):
            found.append(_unsigned(log, row))
    known: dict[str, Param] = {
        "incarnations": [log.incarnation for log in before],
        "partitions": [log.partition for log in before],
    }
    for row in clickhouse.rows(_OF_NO_LOG, params=known, timeout_s=_TIMEOUT_S):
        found.append(_unsigned(Log(str(row["incarnation"]), whole(row, "kafka_partition")), row))
    return found


def _unsigned(log: Log, row: Row) -> Unsigned:
    return Unsigned(log, *(whole(row, name) for name in ("n", "first", "last", "age", "ahead")))
