"""A record that kills its worker twice is found out; one at hand when a worker died once is not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.stream.worker.at_hand import FILE, AtHand, Slot

offsets = st.integers(0, 2**62)


@given(offsets)
def test_two_deaths_at_one_record_make_it_poison(offset: int) -> None:
    slot = Slot()
    assert slot.begin(offset) is None
    for expected in (None, offset, offset):
        slot.mark(offset)
        assert slot.begin(offset) == expected  # what comes next has died


@given(offsets, offsets)
def test_deaths_at_two_records_are_told_apart(one: int, other: int) -> None:
    slot = Slot()
    slot.begin(0)
    for offset in (one, other, one):
        slot.mark(offset)
        assert slot.begin(0) == (one if one == other and offset == slot.poison else None)


@given(st.lists(offsets))
def test_a_worker_that_ends_with_nothing_at_hand_leaves_no_suspect(seen: list[int]) -> None:
    slot = Slot()
    for _ in range(3):
        assert slot.begin(0) is None
        for offset in seen:
            slot.mark(offset)
        slot.clear()
    assert slot.begin(0) is None


def test_what_is_committed_is_no_suspect_any_more() -> None:
    slot = Slot()
    for _ in range(2):
        slot.begin(7)
        slot.mark(7)
    assert slot.begin(7) == 7
    assert slot.begin(8) is None


def test_the_notes_outlive_their_process_and_are_kept_by_partition(tmp_path: Path) -> None:
    for _ in range(2):
        slot = AtHand(tmp_path).slot(is_event=True, partition=3)
        slot.begin(0)
        slot.mark(41)
    again = AtHand(tmp_path)
    assert again.slot(is_event=True, partition=2).begin(0) is None
    assert again.slot(is_event=False, partition=3).begin(0) is None
    assert again.slot(is_event=True, partition=3).begin(0) == 41


def test_a_folder_that_cannot_be_written_is_said_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    slot = AtHand(tmp_path / "file").slot(is_event=True, partition=0)
    slot.mark(1)
    assert slot.begin(0) is None
    assert FILE in caplog.text
    assert "--data-dir" in caplog.text
