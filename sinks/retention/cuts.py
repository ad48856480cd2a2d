"""Cuts: which rows were removed on purpose, and whether that was put on record.

A row of `cut_rows` stands for a row that retention has removed.  It counts in proofs only where an event
`retention_cut`, which is itself in the log, has the digest of the whole cut: who could write to the table
could else remove rows and say that it was a cut.  `keytrail verify` asks that a checkpoint covers that event,
so `keytrail retention` removes nothing before one does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from keytrail.sinks.clickhouse.http import ClickHouse, whole
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.retention.holds import SERVICE

CUT = "retention_cut"
_TIMEOUT_S = 3_600.0
_TABLE = "SELECT 1 AS it FROM system.tables WHERE database = currentDatabase() AND name = 'cut_rows'"
_RECORDED = (
    "SELECT toString(kafka_incarnation) AS incarnation, kafka_partition, kafka_offset,"
    " toString(event_id) AS event_id, toString(toUUIDOrZero(attributes['keytrail.cut_id'])) AS cut_id,"
    " attributes['keytrail.class'] AS class, attributes['keytrail.before'] AS before,"
    " toInt64OrZero(attributes['keytrail.rows']) AS rows, attributes['keytrail.digest'] AS digest,"
    " actor_id, reason, toString(occurred_at) AS at,"
    " signature = 'verified' AS signed FROM events"
    " WHERE service = {service:String} AND action = {action:String} ORDER BY occurred_at"
)
_ROWS = (
    "SELECT DISTINCT kafka_incarnation, kafka_partition, kafka_offset, leaf FROM cut_rows"
    " WHERE cut_id = {cut_id:UUID} ORDER BY ALL"
)


@dataclass(frozen=True)
class Cut:
    """What an event `retention_cut` says: so many events of class `name`, from before `before`, are gone.

    `before` is in microseconds since 1970; `at` is when it was told, UTC.  The last three say where the
    event stands in the log.
    """

    event_id: str
    cut_id: str
    name: str
    before: str
    rows: int
    digest: str
    actor: str
    reason: str
    at: str
    signed: bool
    incarnation: str
    partition: int
    offset: int

    def is_signed(self, before: Mapping[Log, int]) -> bool:
        """Whether a checkpoint covers the event, by the offset before which each log is signed."""
        return self.offset < before.get(Log(self.incarnation, self.partition), 0)


def recorded_cuts(clickhouse: ClickHouse) -> list[Cut]:
    """In their order.  Raises `UnavailableError`."""
    found = clickhouse.rows(_RECORDED, params={"service": SERVICE, "action": CUT}, timeout_s=_TIMEOUT_S)
    return [
        Cut(
            event_id=str(row["event_id"]),
            cut_id=str(row["cut_id"]),
            name=str(row["class"]),
            before=str(row["before"]),
            rows=whole(row, "rows"),
            digest=str(row["digest"]),
            actor=str(row["actor_id"]),
            reason=str(row["reason"]),
            at=str(row["at"]),
            signed=bool(row["signed"]),
            incarnation=str(row["incarnation"]),
            partition=whole(row, "kafka_partition"),
            offset=whole(row, "kafka_offset"),
        )
        for row in found
    ]


def digest_of(clickhouse: ClickHouse, cut_id: str) -> str:
    """SHA-256, in hex, of the places and hashes of a cut's rows, in order.  Raises `UnavailableError`."""
    answer = clickhouse.stream(
        _ROWS, default_format="RowBinary", params={"cut_id": cut_id}, timeout_s=_TIMEOUT_S
    )
    digest = sha256()
    for chunk in answer.chunks:
        digest.update(chunk)
    return digest.hexdigest()


def true_cuts(clickhouse: ClickHouse, before: Mapping[Log, int] | None = None) -> list[str]:
    """The ids of cuts whose rows are those that their events name.  Raises `UnavailableError`.

    With `before`, the offset of each log before which all was signed, only those whose events were.
    """
    if not clickhouse.rows(_TABLE):
        return []  # tables of an earlier keytrail
    return [
        cut.cut_id
        for cut in recorded_cuts(clickhouse)
        if (before is None or cut.is_signed(before)) and digest_of(clickhouse, cut.cut_id) == cut.digest
    ]
