"""Each producer's own ledger: the sequence numbers it gave out against the rows that are stored.

The numbers of a run go up from 1 without holes, so a missing one is an event that was recorded and is
not stored.  What a run gave out after its last stored event can't be known here: the producer knows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.http import ClickHouse, Row, whole

SHOWN = 5
_TIMEOUT_S = 300.0
# A number follows its predecessor; where it does not, the hole counts in the hour of the event behind it.
_HOURS = """
SELECT producer_id, formatDateTime(toStartOfHour(recorded_at), '%FT%H:00Z', 'UTC') AS hour,
       min(sequence) AS first, max(sequence) AS last,
       countIf(jump > 0) AS stored, countIf(jump = 0) AS doubled,
       sumIf(jump - 1, jump > 1 AND settled) AS missing,
       sumIf(jump - 1, jump > 1 AND NOT settled) AS awaited,
       groupArrayIf(1000)((before + 1, sequence - 1), jump > 1 AND settled) AS some,
       arraySlice(arraySort(some), 1, {shown:UInt8}) AS holes
FROM (
    SELECT producer_id, recorded_at, sequence, inserted_at < now64(3) - {settle_s:UInt32} AS settled,
           lagInFrame(sequence, 1, if({since:Int64} = 0, toInt64(0), sequence - 1)) OVER numbers AS before,
           sequence - before AS jump
    FROM (
        SELECT producer_id, recorded_at, sequence, inserted_at FROM events
        UNION ALL
        SELECT producer_id, recorded_at, sequence, toDateTime64(0, 3, 'UTC') FROM removed_rows
    )
    WHERE sequence > 0 AND recorded_at >= fromUnixTimestamp64Micro({since:Int64})
    WINDOW numbers AS (PARTITION BY producer_id ORDER BY sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
GROUP BY producer_id, toStartOfHour(recorded_at)
ORDER BY producer_id, first
"""


@dataclass(frozen=True)
class HourOfRun:
    """What one run of a producer recorded within one hour, by its own clock.

    `holes` are the first ranges (first, last) of the `missing` numbers.  A hole before an event that was
    stored only now is `awaited`: the partitions of a topic do not keep step.  `doubled` counts rows whose
    number another row has.
    """

    producer_id: str
    hour: str
    first: int
    last: int
    stored: int
    missing: int
    awaited: int
    doubled: int
    holes: Sequence[tuple[int, int]]

    @property
    def emitted(self) -> int:
        """The numbers that were given out, as far as later ones tell."""
        return self.stored + self.missing + self.awaited

    @property
    def complete(self) -> bool:
        return not self.missing and not self.doubled


def read_runs(clickhouse: ClickHouse, since: Micros | None = None, settle_s: int = 60) -> list[HourOfRun]:
    """Every run that counts, by producer and hour; events without a number are left out.

    With `since`, what was recorded before is left out, and a run begins with its first event after.
    Holes are awaited for `settle_s` seconds.  Raises `UnavailableError` and `RefusedError`.
    """
    params = {"since": since or 0, "settle_s": settle_s, "shown": SHOWN}
    rows = clickhouse.rows(_HOURS, params=params, timeout_s=_TIMEOUT_S)
    return [_hour(row) for row in rows]


def _hour(row: Row) -> HourOfRun:
    holes = row["holes"]
    return HourOfRun(
        producer_id=str(row["producer_id"]),
        hour=str(row["hour"]),
        first=whole(row, "first"),
        last=whole(row, "last"),
        stored=whole(row, "stored"),
        missing=whole(row, "missing"),
        awaited=whole(row, "awaited"),
        doubled=whole(row, "doubled"),
        holes=[(int(first), int(last)) for first, last in holes] if isinstance(holes, list) else [],
    )
