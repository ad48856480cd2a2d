import itertools
import os
import shutil
from collections import deque
from pathlib import Path

import pytest
from small_disk import small_disk

from keytrail.producers.sealed import Sealed
from keytrail.producers.spool import FULL, Spool

LIMIT = 4 << 20


def some(first: int, count: int, size: int = 300) -> list[Sealed]:
    return [
        Sealed(number, number * 10, b"bob", bytes(size), b"signed" if number % 2 else None)
        for number in range(first, first + count)
    ]


def run(folder: Path, name: str = "run-1") -> Spool:
    spool = Spool(folder, LIMIT, name.removeprefix("run-"), f"billing:{name}")
    spool.adopt()
    return spool


def drained(spool: Spool, most: int = 100) -> list[Sealed]:
    found: list[Sealed] = []
    while window := spool.read(most):
        found += window
        spool.advance()
    return found


def test_what_is_put_in_comes_out_in_order(tmp_path: Path) -> None:
    spool = run(tmp_path)
    events = some(1, 10_000)
    assert spool.append(events[:4_000]) == 4_000
    assert spool.read(100) == events[:100]
    assert spool.read(100) == events[:100]
    spool.advance()
    assert spool.append(events[4_000:]) == 6_000
    assert drained(spool) == events[100:]
    assert (spool.reading_own, spool.reading_from) == (True, "billing:run-1")
    assert spool.bytes < LIMIT / 8
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_later_run_takes_over_what_is_left(tmp_path: Path) -> None:
    first = run(tmp_path)
    events = some(1, 5_000)
    first.append(events)
    done = len(first.read(500))
    first.advance()
    first.read(200)
    first.close()

    second = run(tmp_path, "run-2")
    assert second.append(some(1, 3)) == 3
    assert second.read(10) == events[done : done + 10]
    assert (second.reading_own, second.reading_from) == (False, "billing:run-1")
    assert drained(second) == [*events[done:], *some(1, 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["run-2"]


def test_what_is_not_a_runs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run-file").write_text("mine")
    (tmp_path / "run-folder").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "lock").write_text("mine")
    first = run(tmp_path)
    first.append(some(1, 3))
    first.close()
    [folder] = [path for path in tmp_path.iterdir() if path.name == "run-1"]
    (folder / "note").write_text("mine")
    assert drained(run(tmp_path, "run-2")) == some(1, 3)
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert kept == {"run-file", "run-folder", "folder", "folder/lock", "run-1", "run-1/note"}


def test_the_folder_of_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path, "run-0")
    first.append(some(1, 3))
    assert run(tmp_path, "run-2").read(10) == []
    second.append(some(7, 3))
    assert (drained(first), drained(second)) == (some(1, 3), some(7, 3))


@pytest.mark.parametrize("cut", [1, 100, 320])
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    first = run(tmp_path)
    first.append(some(1, 10))
    first.leave_to_parent()  # as at the end of a killed process
    [segment] = tmp_path.rglob("*.events")
    os.truncate(segment, segment.stat().st_size - cut)
    assert drained(run(tmp_path, "run-2")) == some(1, 9)


def test_a_damaged_segment_does_not_hide_the_next(tmp_path: Path) -> None:
    first = run(tmp_path)
    events = some(1, 2_000)
    first.append(events)
    first.leave_to_parent()
    oldest, following, *_ = sorted(tmp_path.rglob("*.events"))
    damaged = bytearray(oldest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    oldest.write_bytes(damaged)
    found = drained(run(tmp_path, "run-2"))
    assert 100 < len(found) < 2_000
    assert found[-1] == events[-1]
    numbers = [each.sequence for each in found]
    assert numbers == sorted(set(numbers))
    assert following.name


def test_without_its_position_a_run_is_delivered_anew(tmp_path: Path) -> None:
    first = run(tmp_path)
    first.append(some(1, 10))
    first.read(5)
    first.advance()
    first.leave_to_parent()
    [position] = tmp_path.rglob("position")
    position.write_bytes(b"damaged in some way!")
    assert drained(run(tmp_path, "run-2")) == some(1, 10)


def test_where_it_is_full_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    spool = run(tmp_path)
    events = some(1, 20_000)
    for start in range(0, 20_000, 1_000):
        assert spool.append(events[start : start + 1_000]) == 1_000
        assert spool.bytes <= LIMIT
    losses = spool.take_losses()
    lost = sum(loss.count for loss in losses)
    assert (losses[0].first, losses[-1].last, {loss.why for loss in losses}) == (1, lost, {FULL})
    assert lost > 5_000
    assert drained(spool) == events[lost:]


def test_what_earlier_runs_left_is_dropped_first(tmp_path: Path) -> None:
    first = run(tmp_path)
    first.append(some(1, 5_000))
    first.close()
    second = run(tmp_path, "run-2")
    second.append(some(1, 9_000))
    losses = second.take_losses()
    assert {loss.producer_id for loss in losses} == {"billing:run-1"}
    assert len(drained(second)) == 14_000 - sum(loss.count for loss in losses)


def test_what_is_under_way_is_not_dropped(tmp_path: Path) -> None:
    spool = run(tmp_path)
    events = some(1, 20_000)
    spool.append(events[:1_000])
    under_way = spool.read(50)
    spool.append(events[1_000:])
    losses = spool.take_losses()
    assert losses[0].first > 50
    spool.advance()
    kept = [*events[: losses[0].first - 1], *events[losses[-1].last :]]
    assert [*under_way, *drained(spool)] == kept
    assert len(kept) == 20_000 - sum(loss.count for loss in losses)


def test_a_full_disk_takes_nothing_by_halves(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        spool = run(tmp_path / "disk")
        spool.append(some(1, 100))
        disk.fill()
        kept = itertools.count(101, 100)
        with pytest.raises(OSError, match="No space left"):
            deque((spool.append(some(start, 100)) for start in kept), maxlen=0)
        disk.free()
        found = drained(spool)
        assert spool.append(some(1, 100)) == 100
        assert [each.sequence for each in found] == list(range(1, len(found) + 1))
        assert len(found) >= 100
        spool.close()


def test_a_folder_that_goes_away_is_an_error_of_the_disk(tmp_path: Path) -> None:
    spool = run(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "gone").write_text("a file now")
    with pytest.raises(OSError, match="gone"):
        spool.append(some(1, 1))
