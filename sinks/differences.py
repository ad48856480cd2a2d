"""Where the books differ: asked only when counts do, since it sorts what a count passes over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from keytrail.schemas import topics
from keytrail.schemas.ledger import EventLedger
from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.http import ClickHouse, Param, whole
from keytrail.sinks.cluster import Place
from keytrail.sinks.row_counts import ANOMALY_CUT, DEAD_ROWS, EVENT_ROWS, CountedTable, cut_params
from keytrail.sinks.spans import Span, SpanReader

SHOWN = 10
_HOLES = 10_000
_TIMEOUT_S = 300.0

_DOUBLED = (
    "SELECT sum(n - 1) AS doubled, arraySlice(arraySort(groupArray(10000)(first)), 1, {shown}) AS places"
    " FROM (SELECT count() AS n, min((kafka_partition, kafka_offset)) AS first FROM {table} WHERE {cut}"
    " GROUP BY {identity} HAVING n > 1)"
)
# Between two rows of one partition stand records without a row, or the marks of transactions.
_BETWEEN = (
    "SELECT before + 1 AS first, kafka_offset AS end FROM ("
    "SELECT kafka_offset, {source} AS source,"
    " lagInFrame(kafka_offset, 1, {{start:Int64}}) OVER w AS before,"
    " lagInFrame(source, 1, toInt64(-2)) OVER w AS source_before"
    " FROM {table} WHERE kafka_incarnation = {{incarnation:UUID}} AND kafka_partition = {{partition:Int32}}"
    " AND kafka_offset < {{end:Int64}}"
    " WINDOW w AS (ORDER BY kafka_offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))"
    " WHERE kafka_offset > before + 1 AND source > source_before + 1"
    " ORDER BY first LIMIT {holes}"
)
_LAST = (
    "SELECT max(kafka_offset) AS last, count() AS counted FROM {table:Identifier}"
    " WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}"
    " AND kafka_offset < {end:Int64}"
)
_LETTERS = (
    "SELECT DISTINCT source_offset FROM dead_letters"
    " WHERE source_topic = {topic:String} AND source_partition = {partition:Int32}"
)
_REMOVED = "SELECT kafka_offset FROM removed_rows WHERE kafka_partition = {partition:Int32}"


@dataclass(frozen=True)
class Doubles:
    """How many rows are too many, and the places of the first records that have more than one."""

    count: int
    places: Sequence[str]


@dataclass(frozen=True)
class Stretch:
    """A partition of a table's topic: records from `begin` to before `end` should have rows."""

    place: Place
    incarnation: str
    begin: int
    end: int


class Differences:
    """Raises `UnavailableError` and `RefusedError`.  Not thread-safe."""

    def __init__(self, clickhouse: ClickHouse, spans: SpanReader) -> None:
        self._clickhouse = clickhouse
        self._spans = spans

    def doubled(self, table: CountedTable, topic: str, partition: int, ledger: EventLedger) -> Doubles:
        """Rows that say they come from the same record of a partition of the events topic."""
        cut = f"source_partition = {partition:d} AND {table.cut}"
        return self._doubled(table.name, topic, cut, "source_offset", cut_params({partition: ledger}))

    def doubled_anomalies(self, began: Micros) -> Doubles:
        """Rows of the same revision of a finding."""
        identity = "anomaly_id, revision"
        return self._doubled("anomalies", topics.ANOMALIES.name, ANOMALY_CUT, identity, {"began": began})

    def lost_events(self, stretch: Stretch) -> list[str]:
        """Places of the first enriched records that have no row."""
        return self._lost(EVENT_ROWS.name, stretch, source="source_offset")

    def lost_anomalies(self, stretches: Sequence[Stretch]) -> list[str]:
        """Places of the first anomaly records that have no row."""
        lost = [place for stretch in stretches for place in self._lost("anomalies", stretch)]
        return lost[:SHOWN]

    def lost_letters(self, stretches: Sequence[Stretch], partition: int) -> list[str]:
        """Places of the first dead letters, of this partition of the events topic, that have no row."""
        key = f"{topics.EVENTS.name}/{partition}/".encode()
        lost = [place for stretch in stretches for place in self._lost(DEAD_ROWS.name, stretch, key=key)]
        return lost[:SHOWN]

    def _doubled(
        self, table: str, topic: str, cut: str, identity: str, params: Mapping[str, Param]
    ) -> Doubles:
        query = _DOUBLED.format(table=table, cut=cut, identity=identity, shown=SHOWN)
        [row] = self._clickhouse.rows(query, params=params, timeout_s=_TIMEOUT_S)
        places = row["places"]
        return Doubles(
            whole(row, "doubled"),
            [f"{topic}/{part}/{offset}" for part, offset in (places if isinstance(places, list) else ())],
        )

    def _lost(
        self, table: str, stretch: Stretch, *, source: str = "kafka_offset", key: bytes = b""
    ) -> list[str]:
        """`source` grows with the offset: where it does not jump, no record is missing."""
        where: dict[str, Param] = {
            "incarnation": stretch.incarnation,
            "partition": stretch.place.partition,
            "start": stretch.begin - 1,
            "end": stretch.end,
        }
        between = self._clickhouse.rows(
            _BETWEEN.format(table=table, source=source, holes=_HOLES), params=where, timeout_s=_TIMEOUT_S
        )
        [last] = self._clickhouse.rows(_LAST, params={**where, "table": table}, timeout_s=_TIMEOUT_S)
        spans = [Span(max(whole(row, "first"), stretch.begin), whole(row, "end")) for row in between]
        spans.append(Span(whole(last, "last") + 1 if last["counted"] else stretch.begin, stretch.end))
        explained = self._set_aside(stretch.place)
        if table == EVENT_ROWS.name:
            explained |= self._removed(stretch.place)
        lost = (
            f"{stretch.place.topic}/{stretch.place.partition}/{offset}"
            for offset, record in self._spans.within(stretch.place, spans)
            if offset not in explained and (record.key() or b"").startswith(key)
        )
        return list(islice(lost, SHOWN))

    def _removed(self, place: Place) -> frozenset[int]:
        """By retention."""
        rows = self._clickhouse.rows(_REMOVED, params={"partition": place.partition}, timeout_s=_TIMEOUT_S)
        return frozenset(whole(row, "kafka_offset") for row in rows)

    def _set_aside(self, place: Place) -> frozenset[int]:
        rows = self._clickhouse.rows(
            _LETTERS, params={"topic": place.topic, "partition": place.partition}, timeout_s=_TIMEOUT_S
        )
        return frozenset(whole(row, "source_offset") for row in rows)
