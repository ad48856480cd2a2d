"""The notary on the real engines: what it signs, that it never contradicts itself, keys and anchors."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from proof_support import notary_of, sign_all, store, with_keys
from sink_support import Feed, event
from waiting import wait_until

from keytrail.cli.main import main
from keytrail.cli.notary import now
from keytrail.schemas.errors import KeytrailError, UnavailableError, UsageError
from keytrail.schemas.settings import HttpSettings, Settings
from keytrail.schemas.topics import CHECKPOINTS
from keytrail.sinks.clickhouse.http import ClickHouse, whole
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.proof.anchor import read_anchor
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.journal import KEYS_KEY, Journal
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.merkle import Edge
from keytrail.sinks.proof.notary import ContradictionError, Notary
from keytrail.sinks.proof.note import NoteError
from keytrail.sinks.proof.store import Entry, ProofTables
from keytrail.sinks.proof.tiles import TILE_LEAVES
from keytrail.sinks.proof.turn import Turn
from keytrail.sinks.spans import SpanReader


@pytest.fixture
def proved(settings: Settings) -> Settings:
    return with_keys(settings)


def _tables(settings: Settings) -> ProofTables:
    return ProofTables(ClickHouse(settings.clickhouse, database=settings.database))


def _log(settings: Settings, partition: int) -> Log:
    """The log of the current topic that the checkpoint of a partition is of."""
    with notary_of(settings) as notary:
        notary.round()
        [log] = [log for log in notary._states if log.partition == partition]
    return log


def _newest(settings: Settings, log: Log) -> tuple[Checkpoint, Edge]:
    entry = _tables(settings).newest(log)
    assert entry is not None
    checkpoint = KeyringFile(settings.checkpoint_keys).current().trust.open(entry.note)
    return checkpoint, Edge.of_size(checkpoint.size, entry.edge)


def test_checkpoints_grow_by_what_came_and_their_tiles_lead_to_the_roots(proved: Settings) -> None:
    store(proved, "notary-1", [700, 3])
    first = {checkpoint.log: checkpoint for checkpoint in sign_all(proved)}
    store(proved, "notary-2", [5, 300])
    second = {checkpoint.log: checkpoint for checkpoint in sign_all(proved)}
    assert {log.partition for log in second} == {0, 1}
    assert sign_all(proved) == []
    for log, checkpoint in second.items():
        assert checkpoint.size - first[log].size == (5 if log.partition == 0 else 300)
        edge, offsets = Edge(), []
        for tile in _tables(proved).tiles(log, 0, checkpoint.size):
            assert tile.first_leaf == edge.size
            assert len(tile.offsets) <= TILE_LEAVES
            edge.extend(tile.nodes)
            offsets += tile.offsets.tolist()
            if edge.size == first[log].size:
                assert edge.root() == first[log].root
        assert edge.root() == checkpoint.root
        assert offsets == sorted(set(offsets))
        assert offsets[-1] < checkpoint.before
        with SpanReader(proved.kafka) as spans:
            journal = Journal(proved.kafka, Cluster(proved.kafka), spans)
            assert journal.newest(log) == _tables(proved).newest(log)


def test_a_backlog_is_several_checkpoints(proved: Settings) -> None:
    store(proved, "notary-backlog", [0, 0, 900])
    with notary_of(proved, most_leaves=100) as notary:
        made = notary.round()
    # Batches of a read are whole, so a checkpoint may be larger, but it is never the whole backlog at once.
    assert sum(checkpoint.log.partition == 2 for checkpoint in made) >= 1
    assert sign_all(proved) == []


def test_what_a_killed_notary_left_undone_is_done_by_the_next(proved: Settings) -> None:
    store(proved, "notary-kill", [10])
    log = _log(proved, 0)
    store(proved, "notary-kill", [20])
    for calls in range(1, 6):
        with notary_of(proved) as notary:
            _kill_after(notary, calls)
            with pytest.raises(_KilledError):
                notary.round()
    sign_all(proved)
    checkpoint, edge = _newest(proved, log)
    assert edge.root() == checkpoint.root
    _assert_one_history(proved, log)


def test_killed_processes_leave_one_history(proved: Settings) -> None:
    for round_number in range(4):
        before = _checkpoints(proved)
        notary = _process(proved)
        store(proved, "notary-sigkill", [50 + round_number, 50, 50])
        _wait_for_more(proved, before)
        notary.kill()
        notary.wait(30)
    sign_all(proved)
    for partition in range(3):
        log = _log(proved, partition)
        _assert_one_history(proved, log)


def test_of_two_notaries_one_works_at_a_time(proved: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    notaries = [_process(proved), _process(proved)]
    try:
        for round_number in range(4):
            before = _checkpoints(proved)
            store(proved, "notary-two", [300 + round_number, 5])
            _wait_for_more(proved, before)
    finally:
        for notary in notaries:
            notary.terminate()
            notary.wait(30)
    sign_all(proved)
    for partition in range(2):
        _assert_one_history(proved, _log(proved, partition))
    with Turn(proved.kafka) as turn:
        assert turn.is_mine(30)
        # The other one may join, but the turn moves only when its owner asks again.
        assert main(["notary", "--once", f"--data-dir={proved.data_dir}"]) == 1
        assert "Another notary is at work" in capsys.readouterr().err


def _checkpoints(settings: Settings) -> int:
    [row] = ClickHouse(settings.clickhouse, database=settings.database).rows(
        "SELECT count() AS n FROM checkpoints"
    )
    return whole(row, "n")


def _wait_for_more(settings: Settings, before: int) -> None:
    wait_until(lambda: _checkpoints(settings) > before, "another checkpoint")


class _KilledError(BaseException):
    """As kill -9 does: nothing of the notary's own runs afterwards."""


def _kill_after(notary: Notary, calls: int) -> None:
    """At the so many-th thing that it does to the tables or the topic."""
    left = calls

    def counted(method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if not left:
                raise _KilledError
            return method(*arguments)

        return call

    for part, names in (
        (notary._tables, ("newest", "add_tiles", "add_checkpoint")),
        (notary._journal, ("newest", "add")),
    ):
        for name in names:
            setattr(part, name, counted(getattr(part, name)))


def _assert_one_history(settings: Settings, log: Log) -> None:
    """Every checkpoint in the topic and the table is of one tree."""
    trust = KeyringFile(settings.checkpoint_keys).current().trust
    with SpanReader(settings.kafka) as spans:
        journal = Journal(settings.kafka, Cluster(settings.kafka), spans)
        entries = {entry for key, entry in journal.all(log.partition) if key == log.origin.encode()}
    entries |= set(_tables(settings).entries(log))
    roots: dict[int, bytes] = {}
    for entry in entries:
        checkpoint = trust.open(entry.note)
        assert roots.setdefault(checkpoint.size, checkpoint.root) == checkpoint.root
    edge = Edge()
    for tile in _tables(settings).tiles(log, 0, max(roots)):
        edge.extend(tile.nodes)
        if edge.size in roots:
            assert edge.root() == roots.pop(edge.size)
    assert not roots


def test_nothing_is_signed_before_the_sink_has_dealt_with_it(proved: Settings) -> None:
    sign_all(proved)
    Feed(proved).events([event("notary-waits") for _ in range(5)], 3)
    assert [checkpoint for checkpoint in sign_all(proved) if checkpoint.log.partition == 3] == []
    store(proved, "notary-waits", [0])
    assert [checkpoint.log.partition for checkpoint in sign_all(proved)] == [3]


def test_a_changed_key_is_signed_for_and_old_checkpoints_still_count(proved: Settings) -> None:
    store(proved, "notary-keys", [4])
    sign_all(proved)
    log = _log(proved, 0)
    keys = KeyringFile(proved.checkpoint_keys)
    before, old = keys.current(), _tables(proved).newest(log)
    keys.rotate(now())
    store(proved, "notary-keys", [4])
    sign_all(proved)
    new = _tables(proved).newest(log)
    assert old is not None
    assert new is not None
    auditor = before.trust  # holds the key of before
    with pytest.raises(NoteError, match="No trusted key"):
        auditor.open(new.note)
    auditor.follow(_tables(proved).handovers())
    assert auditor.open(old.note).size < auditor.open(new.note).size
    with SpanReader(proved.kafka) as spans:
        journal = Journal(proved.kafka, Cluster(proved.kafka), spans)
        assert keys.current().handovers[-1] in {
            entry.note for key, entry in journal.all(0) if key == KEYS_KEY
        }


def test_a_checkpoint_that_is_not_ours_stops_its_log_and_no_other(proved: Settings, tmp_path: Path) -> None:
    store(proved, "notary-foreign", [2, 2])
    sign_all(proved)
    log = _log(proved, 1)
    checkpoint, edge = _newest(proved, log)
    stranger = replace(proved, checkpoint_keys=tmp_path / "other.json")
    KeyringFile(stranger.checkpoint_keys).rotate(now())
    store(proved, "notary-foreign", [2, 2])
    with notary_of(stranger) as notary, pytest.raises(ContradictionError, match="not one of ours"):
        notary.round()
    assert _newest(proved, log)[0] == checkpoint
    forged = Entry(_tables(proved).newest(log).note, b"\0" * len(edge.packed))  # type: ignore[union-attr]
    with SpanReader(proved.kafka) as spans:
        journal = Journal(proved.kafka, Cluster(proved.kafka), spans)
        journal.add(log, forged)
        with notary_of(proved) as notary:
            with pytest.raises(ContradictionError, match="do not belong together"):
                notary.round()
            assert any(log.partition == 0 for log in notary._states)
        journal.add(log, Entry(forged.note, edge.packed))
    assert [made.log.partition for made in sign_all(proved)] == [1]


def test_the_anchor_has_each_log_s_newest_checkpoint(proved: Settings, tmp_path: Path) -> None:
    file, copy = tmp_path / "anchor", tmp_path / "copy"
    anchored = replace(proved, anchor=str(file), anchor_command=f"dd of={copy} oflag=append conv=notrunc")
    store(proved, "notary-anchor", [3, 3])
    with notary_of(anchored) as notary:
        notary.round()
        notary.anchor()
        notary.anchor()
    assert file.read_bytes() == copy.read_bytes()
    trust = KeyringFile(proved.checkpoint_keys).current().trust
    for partition in (0, 1):
        checkpoint, _ = _newest(proved, _log(proved, partition))
        assert checkpoint in [trust.open(note) for note in read_anchor(file)]
    with file.open("ab") as torn:
        torn.write(b"keytrail/half")
    assert read_anchor(file) == read_anchor(copy)
    with notary_of(replace(proved, anchor=str(tmp_path))) as notary:
        notary.round()
        with pytest.raises(KeytrailError, match="takes no checkpoint"):
            notary.anchor()


def test_a_notary_without_a_key_or_an_engine_says_so(proved: Settings, tmp_path: Path) -> None:
    store(proved, "notary-errors", [1])
    with (
        notary_of(replace(proved, checkpoint_keys=tmp_path / "none")) as notary,
        pytest.raises(UsageError, match="no key to sign checkpoints with"),
    ):
        notary.round()
    readable = tmp_path / "keys"
    KeyringFile(readable).rotate(now())
    assert readable.stat().st_mode & 0o777 == 0o600
    readable.chmod(0o604)
    with pytest.raises(UsageError, match="Everybody may read"):
        KeyringFile(readable).current()
    readable.chmod(0o600)
    readable.write_text('{"keys": [["keytrail", "c2hvcnQ="]], "handovers": []}')
    with pytest.raises(UsageError, match="does not hold keys"):
        KeyringFile(readable).current()
    nobody = replace(proved, clickhouse=HttpSettings("http://127.0.0.1:1"))
    with notary_of(nobody) as notary, pytest.raises(UnavailableError):
        notary.round()


def test_the_command_signs_and_shows(proved: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    store(proved, "notary-command", [6])
    where = [f"--data-dir={proved.data_dir}"]
    assert main(["notary", "--once", *where]) == 0
    assert main(["checkpoints", "keys", *where]) == 0
    keys = proved.data_dir / "trusted"
    keys.write_text("# ours\n" + capsys.readouterr().out)
    assert main(["checkpoints", "list", "--json", "--trust", str(keys), *where]) == 0
    assert f'"log": "{_log(proved, 0).origin}"' in capsys.readouterr().out
    assert main(["checkpoints", "list", "--notes", *where]) == 0
    notes = proved.data_dir / "notes"
    notes.write_text(capsys.readouterr().out)
    assert len(read_anchor(notes)) == len(_tables(proved).logs())


def test_the_notary_runs_until_it_is_told_to_stop(proved: Settings) -> None:
    place = Place(CHECKPOINTS.name, 2)
    store(proved, "notary-runs", [0, 0, 3])
    before = Cluster(proved.kafka).ends([place])[place]
    process = _process(proved)
    try:
        wait_until(lambda: Cluster(proved.kafka).ends([place])[place] > before, "a checkpoint")
    finally:
        process.terminate()
    assert process.wait(30) == 0


def _process(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "keytrail.cli.main",
            "notary",
            "--every=0.1",
            f"--data-dir={settings.data_dir}",
        ],
        stderr=subprocess.DEVNULL,
    )
