"""Where leaves are read from: the rows in ClickHouse, or the records in Kafka."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from keytrail.schemas.topics import ENRICHED
from keytrail.sinks.clickhouse.http import ClickHouse, Param, whole
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.proof.comparison import Run
from keytrail.sinks.proof.leaf import NORMAL, Leaves, Record, head
from keytrail.sinks.proof.leaf_sql import DATUM, LEAF_HASH, WITH
from keytrail.sinks.proof.merkle import HASH_BYTES
from keytrail.sinks.spans import Span, SpanReader

NO_END = (1 << 63) - 1
_BATCH = 5_000
_TIMEOUT_S = 3_600.0
_LEAVES = (
    "{constants} SELECT kafka_offset, {leaf} FROM events"
    " WHERE kafka_incarnation = {{incarnation:UUID}} AND kafka_partition = {{partition:Int32}}"
    " AND kafka_offset >= {{first:Int64}} AND kafka_offset < {{end:Int64}}"
)
_WITH_CUTS = (
    "SELECT * FROM ({rows} UNION ALL SELECT DISTINCT kafka_offset, leaf FROM cut_rows"
    " WHERE kafka_incarnation = {{incarnation:UUID}} AND kafka_partition = {{partition:Int32}}"
    " AND kafka_offset >= {{first:Int64}} AND kafka_offset < {{end:Int64}}"
    " AND toString(cut_id) IN {{cuts:Array(String)}})"
)
_DATUMS = (
    "{constants} SELECT kafka_offset, hex({datum}) AS datum FROM events"
    " WHERE kafka_incarnation = {{incarnation:UUID}} AND kafka_partition = {{partition:Int32}}"
    " AND kafka_offset IN {{offsets:Array(Int64)}}"
)
_SET_ASIDE = (
    "SELECT source_offset, isNull(value) AS is_null, hex(ifNull(value, '')) AS value FROM dead_letters"
    " WHERE source_topic = {topic:String} AND source_partition = {partition:Int32}"
    " AND source_offset >= {first:Int64} AND source_offset < {end:Int64}"
)
# Compiled, so long an expression is no faster, and compiling it takes seconds; hashes are sorted, not the
# columns that they are made of; large sorts go to disk.
_SETTINGS = {
    "compile_expressions": "0",
    "query_plan_execute_functions_after_sorting": "0",
    "max_bytes_before_external_sort": "1000000000",
}
_ROW = np.dtype([("offset", "<i8"), ("hash", f"V{HASH_BYTES}")])


class Source(Protocol):
    """Methods raise `UnavailableError` where it does not answer."""

    name: str

    def begin(self, log: Log) -> int:
        """Before this offset it keeps nothing any more, by its own retention."""
        ...

    def leaves(self, log: Log, first: int, end: int) -> Iterator[Run]:
        """The leaves from offset `first` to before `end`, in order."""
        ...

    def datums(self, log: Log, offsets: Sequence[int]) -> Mapping[int, bytes]:
        """The datums in normal form that stand there; what has none is left out."""
        ...


class Rows:
    """The table `events`, and of rows that retention has removed the hashes."""

    name = "clickhouse"

    def __init__(self, clickhouse: ClickHouse, leaves: Leaves, cuts: Sequence[str] = ()) -> None:
        """`cuts` are the ids of the cuts that count."""
        self._clickhouse = clickhouse
        self._leaves = leaves
        self._cuts = cuts

    def begin(self, log: Log) -> int:  # noqa: ARG002 - part of the protocol
        return 0

    def leaves(self, log: Log, first: int, end: int) -> Iterator[Run]:
        query = _LEAVES.format(constants=WITH, leaf=LEAF_HASH)
        params: dict[str, Param] = {**_params(log), "first": first, "end": end}
        if self._cuts:
            query = _WITH_CUTS.format(rows=query)
            params["cuts"] = self._cuts
        answer = self._clickhouse.stream(
            query + " ORDER BY kafka_offset",
            default_format="RowBinary",
            params=params,
            settings=_SETTINGS,
            timeout_s=_TIMEOUT_S,
        )
        left = b""
        for chunk in answer.chunks:
            data = left + chunk
            whole_rows = len(data) // _ROW.itemsize * _ROW.itemsize
            rows, left = np.frombuffer(data[:whole_rows], dtype=_ROW), data[whole_rows:]
            yield Run(rows["offset"].astype(np.int64), rows["hash"].tobytes())

    def datums(self, log: Log, offsets: Sequence[int]) -> Mapping[int, bytes]:
        query = _DATUMS.format(constants=WITH, datum=DATUM)
        params: dict[str, Param] = {**_params(log), "offsets": offsets}
        found = self._clickhouse.rows(query, params=params)
        return {whole(row, "kafka_offset"): bytes.fromhex(str(row["datum"])) for row in found}

    def set_aside(self, log: Log, first: int, end: int) -> dict[int, bytes]:
        """The leaf hashes of records that the sink put among the dead letters."""
        place: dict[str, str | int] = {"topic": ENRICHED.name, "partition": log.partition}
        found = self._clickhouse.rows(_SET_ASIDE, params={**place, "first": first, "end": end})
        records = [
            Record(whole(row, "source_offset"), None if row["is_null"] else bytes.fromhex(str(row["value"])))
            for row in found
        ]
        hashes = self._leaves.hashes(log.partition, records)
        return {
            record.offset: hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
            for at, record in enumerate(records)
        }


class Records:
    """The enriched topic."""

    name = "kafka"

    def __init__(self, cluster: Cluster, spans: SpanReader, leaves: Leaves) -> None:
        self._cluster = cluster
        self._spans = spans
        self._leaves = leaves

    def begin(self, log: Log) -> int:
        place = _place(log)
        return self._cluster.beginnings([place])[place]

    def end(self, log: Log) -> int:
        place = _place(log)
        return self._cluster.ends([place])[place]

    def leaves(self, log: Log, first: int, end: int) -> Iterator[Run]:
        for batch in self.batches(log, first, end):
            offsets = np.array([record.offset for record in batch], dtype=np.int64)
            yield Run(offsets, self._leaves.hashes(log.partition, batch))

    def batches(self, log: Log, first: int, end: int) -> Iterator[list[Record]]:
        """The records themselves, some thousands at a time."""
        span = Span(max(first, self.begin(log)), min(end, self.end(log)))
        batch: list[Record] = []
        for offset, message in self._spans.within(_place(log), [span]):
            batch.append(Record(offset, message.value()))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def datums(self, log: Log, offsets: Sequence[int]) -> Mapping[int, bytes]:
        spans = [Span(offset, offset + 1) for offset in offsets]
        records = [Record(o, message.value()) for o, message in self._spans.within(_place(log), spans)]
        datums = {}
        for record, entry in zip(records, self._leaves.entries(log.partition, records), strict=True):
            before = head(NORMAL, log.partition, record.offset)
            if entry.startswith(before):
                datums[record.offset] = entry.removeprefix(before)
        return datums


def event_id(datum: bytes) -> str:
    """The first field of an event."""
    return datum[1:37].decode("ascii", "replace")


def _place(log: Log) -> Place:
    return Place(ENRICHED.name, log.partition)


def _params(log: Log) -> dict[str, str | int]:
    return {"incarnation": log.incarnation, "partition": log.partition}
