"""Manipulations made directly in the tables: each is found, with its place, and nothing else is.

A stack of its own, whose events are signed in several checkpoints; the manipulations are made in copies of
its tables, in another database of the same ClickHouse.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition
from proof_support import notary_of, sign_all, store, with_keys
from scratch_stack import running_stack

from keytrail.cli.main import main
from keytrail.cli.notary import now
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ENRICHED
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.anchor import read_anchor
from keytrail.sinks.proof.audit import Audit
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.proof.comparison import Kind, Reader
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.leaf import Leaves
from keytrail.sinks.proof.note import PrivateKey, sign
from keytrail.sinks.proof.sources import Rows
from keytrail.sinks.proof.store import Entry, ProofTables
from keytrail.sinks.proof.tiles import cut

SEED = 8
PARTITIONS = 2
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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tampering")
    with running_stack(folder / "data", workers=0, sinks=0) as settings:
        original = replace(with_keys(settings), anchor=str(folder / "anchor"))
        for count in (300, 40, 280):
            store(original, "tampering", [count, count + 7])
            sign_all(original)
        with notary_of(original) as notary:
            store(original, "tampering", [5, 5])
            notary.round()
            notary.anchor()
        clickhouse = ClickHouse(original.clickhouse)
        copy = replace(original, database="tampered")
        clickhouse.run("CREATE DATABASE tampered")
        for table in TABLES:
            clickhouse.run(f"CREATE TABLE tampered.{table} AS {original.database}.{table}")
        made = World(original, copy, clickhouse, Path(original.anchor))
        made.restore()
        yield made


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


def test_what_nobody_touched_is_proved(world: World) -> None:
    world.restore()
    assert audit(world.copy) == CLEAN
    assert audit(world.copy, kafka=True, anchor=world.anchor) == CLEAN


@pytest.mark.parametrize("number", range(12))
def test_changed_removed_added_and_swapped_rows_are_named(world: World, number: int) -> None:
    rng = random.Random(SEED * 1000 + number)
    forger = Forger(world, rng)
    acts: list[Callable[[], None]] = [forger.edit, forger.delete, forger.insert, forger.swap]
    for _ in range(40):
        rng.choice(acts)()
    forger.double()
    forger.make()
    found = audit(world.copy, kafka=number % 4 == 0)
    assert found.differences == forger.expected
    assert found.problems == []
    world.restore("events")


@pytest.mark.parametrize("number", range(6))
def test_a_cut_tail_is_named(world: World, number: int) -> None:
    rng = random.Random(SEED * 2000 + number)
    expected = set()
    for partition in range(PARTITIONS):
        last = max(offset for p, offset in world.places() if p == partition)
        first = rng.randint(0, last)
        world.alter("events", f"DELETE WHERE kafka_partition = {partition} AND kafka_offset >= {first}")
        expected |= {(partition, offset) for offset in range(first, last + 1)}
    found = audit(world.copy)
    assert {kind for kind, *_ in found.differences} == {Kind.REMOVED}
    assert {
        (partition, offset)
        for _, partition, first, last in found.differences
        for offset in range(first, last + 1)
    } == expected
    world.restore("events")


@pytest.mark.parametrize("number", range(3))
def test_rows_whose_hashes_were_recomputed_are_found(world: World, number: int) -> None:
    rng = random.Random(SEED * 3000 + number)
    partition = rng.randrange(PARTITIONS)
    offsets = sorted(rng.sample([offset for p, offset in world.places() if p == partition], 5))
    [log] = [log for log in world.logs() if log.partition == partition]
    at = f"kafka_partition = {partition} AND kafka_offset IN {offsets}"
    world.alter("events", f"UPDATE reason = 'approved' WHERE {at}")
    _recompute_tiles(world, log)
    alone = audit(world.copy)
    assert {(kind, p) for kind, p, _, _ in alone.differences} == {(Kind.UNCLEAR, partition)}
    ranges = [range(first, last + 1) for _, _, first, last in alone.differences]
    assert all(any(offset in each for each in ranges) for offset in offsets)
    assert all(any(offset in each for offset in offsets) for each in ranges)
    against = audit(world.copy, kafka=True)
    assert against.differences == {(Kind.CHANGED, partition, offset, offset) for offset in offsets}
    assert any("checkpoint_tiles was changed" in problem for problem in against.problems)
    # With a checkpoint of his own key he fares no better.
    newest = world.tables.newest(log)
    assert newest is not None
    text = newest.note.split("\n\n")[0] + "\n"
    forged = sign(text, [PrivateKey("keytrail", rng.randbytes(32))])
    checkpoint = KeyringFile(world.original.checkpoint_keys).current().trust.open(newest.note)
    world.tables.add_checkpoint(checkpoint, Entry(forged, newest.edge))
    assert any("cannot be believed" in problem for problem in audit(world.copy).problems)
    world.restore()


def _recompute_tiles(world: World, log: Log) -> None:
    """Tiles that fit the rows as they are now."""
    tables = world.tables
    trust = KeyringFile(world.original.checkpoint_keys).current().trust
    goals = [trust.open(entry.note) for entry in tables.entries(log)]
    rows = Reader(
        Rows(ClickHouse(world.copy.clickhouse, database="tampered"), Leaves(_NoTexts())).leaves(
            log, 0, 1 << 62
        )
    )
    made, size = [], 0
    for goal in goals:
        run = rows.until(goal.before)
        made += cut(goal.size, size, run.offsets, run.hashes)
        size = goal.size
    world.alter("checkpoint_tiles", f"DELETE WHERE kafka_partition = {log.partition}")
    tables.add_tiles(log, made)


class _NoTexts:
    def text_of(self, schema_id: int) -> str:
        raise AssertionError(schema_id)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


@pytest.mark.parametrize("number", range(3))
def test_a_roll_back_to_an_old_checkpoint_shows_with_an_anchor_or_kafka(world: World, number: int) -> None:
    rng = random.Random(SEED * 4000 + number)
    log = rng.choice(world.logs())
    trust = KeyringFile(world.original.checkpoint_keys).current().trust
    tables = world.tables
    old = rng.choice([trust.open(entry.note) for entry in tables.entries(log)][:-1])
    for table, later in (
        ("events", f"kafka_offset >= {old.before}"),
        ("checkpoints", f"size > {old.size}"),
        ("checkpoint_tiles", f"size > {old.size}"),
    ):
        world.alter(table, f"DELETE WHERE kafka_partition = {log.partition} AND {later}")
    last = max(offset for p, offset in world.places() if p == log.partition)
    with_anchor = audit(world.copy, anchor=world.anchor)
    assert (Kind.UNCLEAR, log.partition, old.before, last) in with_anchor.differences
    assert any("which the anchor has, is missing" in problem for problem in with_anchor.problems)
    with_kafka = audit(world.copy, kafka=True)
    removed = {
        offset
        for kind, partition, first, end in with_kafka.differences
        if kind is Kind.REMOVED and partition == log.partition
        for offset in range(first, end + 1)
    }
    assert removed == set(range(old.before, last + 1))
    world.restore()


def test_what_was_signed_cannot_be_thinned_out_or_altered(world: World) -> None:
    tables = world.tables
    log = world.logs()[0]
    second = tables.entries(log)[1]
    for table, how, said in (
        ("checkpoints", f"DELETE WHERE note = {_quoted(second.note)}", "is missing in the table"),
        ("checkpoint_tiles", "DELETE WHERE first_leaf = 256", "checkpoint_tiles was changed"),
        ("checkpoint_tiles", "UPDATE tags = arrayReverse(tags) WHERE first_leaf = 0", "was changed"),
        ("checkpoint_tiles", "UPDATE offsets = arrayReverse(offsets) WHERE 1", "was changed"),
        ("checkpoint_tiles", "UPDATE nodes = [] WHERE first_leaf = 0", "rows that are none"),
        ("checkpoints", "UPDATE note = 'x' WHERE size > 300", "cannot be believed"),
    ):
        world.alter(table, how)
        found = audit(world.copy, kafka=True)
        assert any(said in problem for problem in found.problems), (how, found)
        assert found.differences == set(), how
        world.restore(table)
    world.clickhouse.run(f"INSERT INTO {world.copy.database}.checkpoint_keys VALUES ('x', now(), 'x')")
    [problem] = audit(world.copy).problems
    assert "A change of keys does not count" in problem
    world.restore("checkpoint_keys")


_SYNC = " SETTINGS mutations_sync = 2"


def test_rows_of_no_log_are_found(world: World) -> None:
    for change, said in (
        ("generateUUIDv4() AS kafka_incarnation", "no notary"),
        ("9 AS kafka_partition, toDateTime64('2026-01-01', 3) AS inserted_at", "no notary"),
    ):
        world.clickhouse.run(
            f"INSERT INTO tampered.events SELECT * REPLACE({change})"
            f" FROM {world.original.database}.events LIMIT 2"
        )
        assert any(said in problem for problem in audit(world.copy, kafka=True).problems)
        world.restore("events")
    world.clickhouse.run(
        "INSERT INTO tampered.events SELECT * REPLACE(100000000 AS kafka_offset)"
        f" FROM {world.original.database}.events LIMIT 1"
    )
    assert {kind for kind, *_ in audit(world.copy, kafka=True).differences} == {Kind.ADDED}
    world.restore("events")


def test_the_command_names_rows_and_its_exit_code_says_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    partition, offset = world.places()[5]
    where = [f"--data-dir={world.original.data_dir}"]
    assert main(["verify", *where, "--anchor", str(world.anchor)]) == 0
    assert "as signed" in capsys.readouterr().out
    at = f"kafka_partition = {partition} AND kafka_offset = {offset}"
    world.clickhouse.run(
        f"ALTER TABLE {world.original.database}.events UPDATE reason = 'x' WHERE {at}{_SYNC}"
    )
    [row] = world.clickhouse.rows(f"SELECT event_id FROM {world.original.database}.events WHERE {at}")
    assert main(["verify", "--only", "clickhouse", "--json", *where]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [
        (each["difference"], each["partition"], each["first"], each["event_id"])
        for each in rows
        if "difference" in each
    ] == [("changed", partition, offset, row["event_id"])]
    assert main(["verify", *where]) == 1
    assert str(row["event_id"]) in capsys.readouterr().out
    assert main(["verify", "--only", "kafka", *where]) == 0
    assert main(["verify", "--since", "2000-01-01", *where]) == 1
    assert main(["verify", "--since", "0m", *where]) == 0
    world.clickhouse.run(f"ALTER TABLE {world.original.database}.events UPDATE reason = '' WHERE {at}{_SYNC}")
    assert main(["verify", *where]) == 0


def test_nothing_is_alarmed_by_a_new_key_a_sink_that_stores_again_or_kafka_s_retention(world: World) -> None:
    settings = world.original
    KeyringFile(settings.checkpoint_keys).rotate(now())
    store(settings, "tampering", [30, 1])
    sign_all(settings)
    assert audit(settings, kafka=True, anchor=world.anchor) == CLEAN
    world.clickhouse.run(f"TRUNCATE TABLE {settings.database}.events")
    store(settings, "tampering", [1])  # the sink finds the table empty and fills it again
    assert audit(settings, kafka=True, anchor=world.anchor) == CLEAN
    assert audit(settings) == CLEAN
    admin = AdminClient(settings.kafka.client())
    for done in admin.delete_records([TopicPartition(ENRICHED.name, 0, 350)]).values():
        done.result()
    assert audit(settings, kafka=True, anchor=world.anchor) == CLEAN
    sign_all(settings)
    assert audit(settings, kafka=True) == CLEAN
