"""Keys that Kafka has not yet: they outlive their process, belong to one run, and are forgotten once sent."""

from pathlib import Path

import pytest

from keytrail.producers.waiting_keys import WaitingKeys
from keytrail.schemas.errors import UsageError

_RECORDS = [("person-1/a", b'{"v": 1}'), ("person-2/b", b'{"v": 1, "name": "x"}')]


def _ended_with(folder: Path, *records: tuple[str, bytes]) -> None:
    run = WaitingKeys(folder)
    for record in records:
        run.add(*record)
    run.close(all_sent=False)


def test_the_next_run_has_what_ended_ones_left_and_keeps_it_until_it_is_sent(tmp_path: Path) -> None:
    _ended_with(tmp_path, *_RECORDS)
    for _ in range(2):
        run = WaitingKeys(tmp_path)
        assert run.taken_over == _RECORDS
        assert run.any
        run.close(all_sent=False)
    run = WaitingKeys(tmp_path)
    run.close(all_sent=True)
    assert list(tmp_path.iterdir()) == []


def test_what_kafka_has_is_forgotten_at_once(tmp_path: Path) -> None:
    run = WaitingKeys(tmp_path)
    run.add(*_RECORDS[0])
    run.clear()
    run.add(*_RECORDS[1])
    run.close(all_sent=False)
    assert WaitingKeys(tmp_path).taken_over == _RECORDS[1:]


def test_a_run_that_goes_on_keeps_its_own(tmp_path: Path) -> None:
    alive = WaitingKeys(tmp_path)
    alive.add(*_RECORDS[0])
    assert WaitingKeys(tmp_path).taken_over == []


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    _ended_with(tmp_path, *_RECORDS)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert WaitingKeys(tmp_path).taken_over == _RECORDS[:1]


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file cannot be written"):
        WaitingKeys(tmp_path / "file")
