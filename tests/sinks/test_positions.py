"""Where a partition goes on after a restart, and what may be committed meanwhile."""

import pytest

from keytrail.sinks.clickhouse.claims import Stored
from keytrail.sinks.clickhouse.positions import Committed, Position, Start

NOW, BEFORE = "the-topic", "the-topic-that-was-deleted"
STORED = Stored(100, frozenset({100, 102, 103}))


def test_without_rows_and_commits_reading_begins_at_the_beginning() -> None:
    assert Start.after(None, None, NOW).offset is None


def test_reading_begins_where_the_newest_insert_began_and_passes_over_its_rows() -> None:
    position = Position(Start.after(STORED, None, NOW), NOW)
    assert [position.take(offset) for offset in range(99, 105)] == [False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("commit", "offset"),
    [
        (Committed(104, NOW, 100), 104),  # made after the newest insert: it is whole
        (Committed(100, NOW, 90), 100),  # made before it
        (Committed(900, NOW, 800), 100),  # the table has lost rows since: it has the last word
        (Committed(104, BEFORE, 100), 100),  # of a topic that was deleted
    ],
)
def test_a_commit_counts_while_the_table_is_as_it_was(commit: Committed, offset: int) -> None:
    assert Start.after(STORED, commit, NOW).offset == offset


def test_a_commit_right_after_the_start_does_not_hide_rows_that_are_stored() -> None:
    first = Position(Start.after(STORED, None, NOW), NOW)
    again = Position(Start.after(STORED, first.committable(), NOW), NOW)
    assert [again.take(offset) for offset in range(100, 104)] == [False, True, False, False]


def test_records_that_were_all_set_aside_are_not_read_again() -> None:
    position = Position(Start.after(None, None, NOW), NOW)
    position.take(0)
    position.seal()
    position.settle(0, rows=0)
    assert Start.after(None, position.committable(), NOW).offset == 1


def test_a_commit_goes_as_far_as_the_settled_block() -> None:
    position = Position(Start.after(None, None, NOW), NOW)
    for offset in range(10):
        position.take(offset)
    position.seal(6)
    assert position.committable().offset == 0
    position.settle(0, rows=6)
    assert position.committable() == Committed(6, NOW, 0)


def test_at_the_end_of_the_partition_the_marks_of_transactions_are_passed_over() -> None:
    position = Position(Start.after(None, None, NOW), NOW)
    position.take(0)
    position.reached(2)
    assert position.committable().offset == 0, "the record is not yet dealt with"
    position.seal()
    position.settle(0, rows=1)
    assert position.committable().offset == 2


def test_one_block_at_a_time() -> None:
    position = Position(Start.after(None, None, NOW), NOW)
    position.take(0)
    position.seal()
    with pytest.raises(ValueError):
        position.seal()


@pytest.mark.parametrize("note", [None, "", "{}", "null", "3", '{"incarnation": "x"}', "not json"])
def test_a_foreign_commit_is_no_commit(note: str | None) -> None:
    assert Committed.read(5, note) is None


def test_a_commit_reads_back() -> None:
    commit = Committed(5, NOW, 3)
    assert Committed.read(5, commit.note()) == commit
