"""Manipulations made directly in the tables: each is found, with its place, and nothing else is.

A stack of its own, whose events are signed in several checkpoints; the manipulations are made in copies of
its tables, in another database of the same ClickHouse.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition
from forging import CLEAN, TABLES, Forger, World, audit
from proof_support import notary_of, sign_all, store, with_keys
from scratch_stack import running_stack

from keytrail.cli.main import main
from keytrail.cli.notary import now
from keytrail.schemas.topics import ENRICHED
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.audit import Audit
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.comparison import Kind, Reader
from keytrail.sinks.proof.evidence import Evidence, Signed
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.leaf import Leaves
from keytrail.sinks.proof.note import PrivateKey, sign
from keytrail.sinks.proof.sources import Rows
from keytrail.sinks.proof.store import Entry
from keytrail.sinks.proof.tiles import cut

SEED = 8
PARTITIONS = 2


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
        ("9 AS kafka_partition", "no notary"),
        ("9223372036854775807 AS kafka_offset", "no notary"),
        ("100000000 AS kafka_offset", "no notary"),
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


def test_a_row_that_says_it_is_yet_to_be_stored_is_told_without_kafka(world: World) -> None:
    world.clickhouse.run(
        "INSERT INTO tampered.events SELECT * REPLACE(100000000 AS kafka_offset,"
        f" now() + INTERVAL 1 DAY AS inserted_at) FROM {world.original.database}.events LIMIT 1"
    )
    assert any("no notary" in problem for problem in audit(world.copy).problems)
    world.restore("events")


def test_a_row_of_a_partition_that_has_no_log_is_added(world: World) -> None:
    world.clickhouse.run(
        "INSERT INTO tampered.events SELECT * REPLACE(3 AS kafka_partition, 0 AS kafka_offset)"
        f" FROM {world.original.database}.events LIMIT 1"
    )
    assert audit(world.copy, kafka=True).differences == {(Kind.ADDED, 3, 0, 0)}
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


def test_a_log_that_cannot_be_checked_is_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--data-dir={world.original.data_dir}"]
    gone = Log("3f1c2a9e-52a4-4a56-9b1e-0a7c3b1d2e4f", 0)
    checkpoint = Checkpoint(gone, 1, bytes(32), 1, now())
    signing = KeyringFile(world.original.checkpoint_keys).current().signing
    anchor = tmp_path / "anchor"
    anchor.write_text(sign(checkpoint.text, [signing]))
    assert main(["verify", "--only", "kafka", "--anchor", str(anchor), *where]) == 1
    said = capsys.readouterr()
    assert f"The 1 records of {gone.origin} were not checked" in said.out
    assert "Everything that was signed" not in said.err
    trust = KeyringFile(world.original.checkpoint_keys).current().trust
    with Audit(world.original, trust, clickhouse=True, kafka=True) as asked:
        evidence = Evidence({gone: [Signed(checkpoint, None, frozenset())]})
        [in_topic] = asked.records(evidence, None)
        [in_table] = asked.rows(evidence, None)
    assert (in_topic.proved, in_topic.unchecked) == (0, 1)
    assert not in_table.good


def test_an_anchor_without_a_checkpoint_is_none(world: World, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    for text in ("", "\n\n", "keytrail/half", "# none\n\n"):
        anchor.write_text(text)
        where = f"--data-dir={world.original.data_dir}"
        assert main(["verify", "--anchor", str(anchor), where]) == 2


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
