"""What the tables hold, counted under the ledgers' cut: one pass over two or three narrow columns each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keytrail.schemas import topics
from keytrail.schemas.ledger import EventLedger, Tally
from keytrail.schemas.records import Micros
from keytrail.sinks.balance import AnomalyRows
from keytrail.sinks.clickhouse.http import ClickHouse, Param, whole
from keytrail.sinks.cluster import Place

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows one ledger counts, partition by partition of the events topic.

    `rows` and `since` are conditions: which rows are meant at all, and that a row is of the ledger's time.
    """

    name: str
    rows: str
    since: str

    @property
    def cut(self) -> str:
        """The rows that the ledgers count, by the parameters of `cut_params`."""
        at = "[source_partition + 1]"
        return (
            f"{self.rows} AND source_offset >= {{firsts:Array(Int64)}}{at}"
            f" AND source_offset < {{ends:Array(Int64)}}{at}"
            f" AND toUnixTimestamp64Micro({self.since}) >= {{began:Array(Int64)}}{at}"
        )


EVENT_ROWS = CountedTable("events", "source_partition >= 0", "enriched_at")
DEAD_ROWS = CountedTable("dead_letters", f"source_topic = '{topics.EVENTS.name}'", "failed_at")

# Rows of `anomalies` that the ledgers count.
ANOMALY_CUT = "toUnixTimestamp64Micro(emitted_at) >= {began:Int64}"

_TALLIES = (
    "SELECT source_partition, count() AS counted, sum(intHash64(source_offset)) AS digest"
    " FROM {table} WHERE {cut} GROUP BY source_partition"
)
_WITH_REMOVED = (
    "(SELECT source_partition, source_offset, enriched_at FROM events UNION ALL"
    " SELECT source_partition, source_offset, enriched_at FROM removed_rows)"
)
_ANOMALIES = (
    "SELECT sum(n) AS counted, sum(n - known) AS doubled, sum(top - low + 1 - known) AS holes FROM ("
    "SELECT count() AS n, uniqExact(revision) AS known, min(revision) AS low, max(revision) AS top"
    " FROM anomalies WHERE {cut} GROUP BY anomaly_id)"
)
_SET_ASIDE = (
    "SELECT source_topic, source_partition, uniqExact(source_offset) AS counted FROM dead_letters"
    " WHERE source_topic != {events:String} GROUP BY source_topic, source_partition"
)


def cut_params(ledgers: Mapping[int, EventLedger]) -> Mapping[str, Param]:
    """The parameters of a cut; a partition without a ledger has no rows."""
    numbers = range(max(ledgers, default=-1) + 1)
    some: Sequence[EventLedger | None] = [ledgers.get(number) for number in numbers]
    return {
        "firsts": [ledger.first_offset if ledger else 0 for ledger in some],
        "ends": [ledger.next_offset if ledger else 0 for ledger in some],
        "began": [ledger.began if ledger else 0 for ledger in some],
    }


class RowCounts:
    """Raises `UnavailableError` and `RefusedError`."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def tallies(self, table: CountedTable, ledgers: Mapping[int, EventLedger]) -> dict[int, Tally]:
        """By partition of the events topic; one without rows is left out.

        Events that retention has removed count as rows.
        """
        rows_of = _WITH_REMOVED if table is EVENT_ROWS else table.name
        query = _TALLIES.format(table=rows_of, cut=table.cut)
        rows = self._clickhouse.rows(query, params=cut_params(ledgers), timeout_s=_TIMEOUT_S)
        return {
            whole(row, "source_partition"): Tally(whole(row, "counted"), whole(row, "digest")) for row in rows
        }

    def anomalies(self, began: Micros, set_aside: int, on_the_way: int) -> AnomalyRows:
        """Those written at `began` or later."""
        query = _ANOMALIES.format(cut=ANOMALY_CUT)
        [row] = self._clickhouse.rows(query, params={"began": began}, timeout_s=_TIMEOUT_S)
        counted, doubled, holes = (whole(row, name) for name in ("counted", "doubled", "holes"))
        return AnomalyRows(counted, doubled, holes, set_aside, on_the_way)

    def set_aside(self) -> dict[Place, int]:
        """Dead letters of other topics than that of events, by the place they were read from."""
        rows = self._clickhouse.rows(_SET_ASIDE, params={"events": topics.EVENTS.name}, timeout_s=_TIMEOUT_S)
        return {
            Place(str(row["source_topic"]), whole(row, "source_partition")): whole(row, "counted")
            for row in rows
        }
