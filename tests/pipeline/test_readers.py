"""Readers of a running stack: strangers stay outside, the stack's own parts get in, queries become events."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scratch_stack import running_stack
from waiting import wait_until

from keytrail.cli.main import main
from keytrail.schemas.settings import STACK_FILE, HttpSettings, Settings
from keytrail.sinks.clickhouse.http import ClickHouse, RefusedError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers") / "data"


@pytest.fixture(scope="module")
def settings(data_dir: Path) -> Iterator[Settings]:
    added = ["readers", "add", "first", "--role", "analyst", "--data-dir", str(data_dir)]
    assert main(added) == 0
    with running_stack(data_dir, workers=1, sinks=1) as found:
        yield found


def test_a_reader_of_a_running_stack(
    settings: Settings, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (data_dir / STACK_FILE).stat().st_mode & 0o077 == 0
    own = ClickHouse(settings.clickhouse, database="keytrail")
    stranger = ClickHouse(HttpSettings(settings.clickhouse.url), database="keytrail")
    with pytest.raises(RefusedError, match="516"):
        stranger.rows("SELECT 1")

    add = ["readers", "add", "anna", "--role", "owner", "--team", "pay", "--key", "k-anna"]
    assert main([*add, "--data-dir", str(data_dir)]) == 0
    token = capsys.readouterr().out.strip()
    anna = ClickHouse(replace(settings.clickhouse, user="anna", password=token), database="keytrail")
    assert anna.rows("SELECT count() AS many FROM events") == [{"many": 0}]
    with pytest.raises(RefusedError, match="497"):
        anna.rows("SELECT * FROM dead_letters")

    own.run(
        "INSERT INTO events (event_id, occurred_at, actor_id, action, subject, role, outcome, key_team) "
        "VALUES (generateUUIDv4(), now(), 'x', 'grant', 'p', 'r', 'success', 'pay'), "
        "(generateUUIDv4(), now(), 'x', 'grant', 'h', 'r', 'success', 'hr')"
    )
    # Also where a projection has the answer for all teams together.
    for view in ("current_access", "access_as_of(at = now64(6))", "access_changes"):
        assert len(own.rows(f"SELECT * FROM {view}")) == 2
        assert [row["subject"] for row in anna.rows(f"SELECT subject FROM {view}")] == ["p"]

    asked = (
        "SELECT actor_id, key_id, outcome, attributes['query'] AS query FROM events WHERE action = 'query'"
    )
    wait_until(lambda: len(own.rows(asked)) == 5)
    assert {(row["actor_id"], row["key_id"], row["outcome"]) for row in own.rows(asked)} == {
        ("anna", "k-anna", "success"),
        ("anna", "k-anna", "denied"),
    }

    assert main(["readers", "list", "--json", "--data-dir", str(data_dir)]) == 0
    assert '"name": "anna", "role": "owner", "team": "pay"' in capsys.readouterr().out
    assert main(["readers", "remove", "anna", "--data-dir", str(data_dir)]) == 0
    with pytest.raises(RefusedError, match="516"):
        anna.rows("SELECT 1")


def test_wrong_use_is_said(data_dir: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data_dir)]
    assert main(["readers", "add", "first", "--role", "analyst", *where]) == 2
    assert main(["readers", "add", "x", "--role", "owner", *where]) == 2
    assert main(["readers", "add", "x", "--role", "auditor", "--team", "pay", *where]) == 2
    assert main(["readers", "remove", "x", *where]) == 2
    said = capsys.readouterr().err
    for words in ("a reader 'first' already", "for one team", "not for one team", "no reader 'x'"):
        assert words in said
    assert main(["readers", "sql", "--team", "pay", *where]) == 0
    assert "CREATE ROLE OR REPLACE `keytrail_owner_pay`" in capsys.readouterr().out
