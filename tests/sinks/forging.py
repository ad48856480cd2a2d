"""Forging: copies of the tables in which rows are manipulated, and what an audit of them tells."""

import random
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.anchor import read_anchor
from keytrail.sinks.proof.audit import Audit
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.proof.comparison import Kind
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.store import ProofTables

TABLES = ("events", "dead_letters", "checkpoints", "checkpoint_tiles", "checkpoint_keys")
# How an attacker may change a value: an expression for each column that is signed.
EDITS = {
    **dict.fromkeys(("service", "actor_id", "action", "outcome", "producer_id"), "concat({c}, '!')"),
    **dict.fromkeys(("environment", "key_id", "subject", "role", "reason", "before", "after"), "'x'"),
    **dict.fromkeys(("occurred_at", "recorded_at", "enriched_at"), "{c} + INTERVAL 1 microsecond"),
    **dict.fromkeys(("sequence", "source_offset", "source_partition"), "{c} + 1"),
    **dict.fromkeys(("permissions", "findings"), "arrayPushBack({c}, 'admin')"),
    "attributes": "map('team', 'x')",
    "expires_at": "toDateTime64('2030-01-01', 6, 'UTC')",
    "event_id": "generateUUIDv4()",
    "signature": "'verified'",
}


@dataclass
class World:
    """`original` is where the truth is, `copy` where it is manipulated."""

    original: Settings
    copy: Settings
    clickhouse: ClickHouse
    anchor: Path

    def restore(self, *tables: str) -> None:
        for table in tables or TABLES:
            self.clickhouse.run(f"TRUNCATE TABLE {self.copy.database}.{table}")
            self.clickhouse.run(
                f"INSERT INTO {self.copy.database}.{table} SELECT * FROM {self.original.database}.{table}"
            )

    def alter(self, table: str, how: str) -> None:
        """Of the copy."""
        self.clickhouse.run(f"ALTER TABLE {self.copy.database}.{table} {how} SETTINGS mutations_sync = 2")

    def places(self) -> list[tuple[int, int]]:
        rows = self.clickhouse.rows(
            f"SELECT kafka_partition, kafka_offset FROM {self.original.database}.events ORDER BY 1, 2"
        )
        return [(int(str(row["kafka_partition"])), int(str(row["kafka_offset"]))) for row in rows]

    @property
    def tables(self) -> ProofTables:
        return ProofTables(ClickHouse(self.copy.clickhouse, database=self.copy.database))

    def logs(self) -> list[Log]:
        return ProofTables(ClickHouse(self.original.clickhouse, database=self.original.database)).logs()


@dataclass(frozen=True)
class Found:
    """What an audit tells: differences as (kind, partition, first, last), and problems in words."""

    differences: set[tuple[Kind, int, int, int]]
    problems: list[str]


def audit(settings: Settings, *, kafka: bool = False, anchor: Path | None = None) -> Found:
    trust = KeyringFile(settings.checkpoint_keys).current().trust
    with Audit(settings, trust, clickhouse=True, kafka=kafka) as asked:
        evidence = asked.evidence(read_anchor(anchor) if anchor else [])
        verdicts = list(asked.rows(evidence, None))
        if kafka:
            verdicts += asked.records(evidence, None)
        verdicts += asked.not_signed(evidence)[1]
    problems = [*evidence.problems, *(problem for verdict in verdicts for problem in verdict.problems)]
    return Found(
        {
            (each.kind, verdict.log.partition, each.first, each.last)
            for verdict in verdicts
            for each in verdict.differences
        },
        [problem.what for problem in problems],
    )


CLEAN = Found(set(), [])


class Forger:
    """Row by row manipulations, to be made all at once; each at a place of its own."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._source = f"{world.original.database}.events"
        self._free = world.places()
        rng.shuffle(self._free)
        self._edits: dict[str, list[str]] = {}
        self._kept: list[str] = []
        self._added: list[str] = []
        self.expected: set[tuple[Kind, int, int, int]] = set()

    def _take(self) -> tuple[int, int, str]:
        partition, offset = self._free.pop()
        return partition, offset, f"(kafka_partition = {partition} AND kafka_offset = {offset})"

    def edit(self) -> None:
        partition, offset, at = self._take()
        column = self._rng.choice(sorted(EDITS))
        self._edits.setdefault(column, []).append(f"{at}, {EDITS[column].format(c=column)}")
        self.expected.add((Kind.CHANGED, partition, offset, offset))

    def delete(self) -> None:
        partition, offset, at = self._take()
        self._kept.append(f"NOT {at}")
        # Neighbours must stay, so that what is told is this one alone.
        self._free = [
            free for free in self._free if free not in ((partition, offset - 1), (partition, offset + 1))
        ]
        self.expected.add((Kind.REMOVED, partition, offset, offset))

    def insert(self) -> None:
        """Another event at a place that is taken, or where no record can be."""
        partition, offset, at = self._take()
        to = self._rng.choice((offset, -1 - offset))
        self._add(f"generateUUIDv4() AS event_id, {to} AS kafka_offset", at)
        self.expected.add((Kind.ADDED, partition, to, to))

    def swap(self) -> None:
        """Two records of a partition take each other's places."""
        partition, one, at_one = self._take()
        other = next(free for free in self._free if free[0] == partition)
        self._free.remove(other)
        at_other = f"(kafka_partition = {partition} AND kafka_offset = {other[1]})"
        self._edits.setdefault("kafka_offset", []).extend((f"{at_one}, {other[1]}", f"{at_other}, {one}"))
        self.expected |= {(Kind.REORDERED, partition, offset, offset) for offset in (one, other[1])}

    def double(self) -> None:
        """Stored again, as a sink may do: no manipulation."""
        _, _, at = self._take()
        self._add("now64(3) AS inserted_at, 5 AS kafka_block", at)

    def _add(self, change: str, at: str) -> None:
        self._added.append(f"SELECT * REPLACE({change}) FROM (SELECT * FROM {self._source} WHERE {at})")

    def make(self) -> None:
        replaced = ", ".join(
            f"multiIf({', '.join(edits)}, {column}) AS {column}" for column, edits in self._edits.items()
        )
        kept = f" WHERE {' AND '.join(self._kept)}" if self._kept else ""
        source = f"(SELECT * FROM {self._source}{kept})"
        selects = [f"SELECT *{f' REPLACE({replaced})' if replaced else ''} FROM {source}"]
        selects += self._added
        copy = f"{self._world.copy.database}.events"
        self._world.clickhouse.run(f"TRUNCATE TABLE {copy}")
        for select in selects:
            self._world.clickhouse.run(f"INSERT INTO {copy} {select}")
