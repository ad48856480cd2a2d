"""From an event to its proof, with the whole pipeline as `keytrail up` runs it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_stack import running_stack
from waiting import wait_until

from keytrail.cli.main import main
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

SCRIPT = Path(__file__).parents[2] / "docs" / "check_proof.py"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("proof") / "data"
    with running_stack(data_dir, workers=1, sinks=1, notary=True) as found:
        yield found


def test_an_event_is_signed_verified_and_proved(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = f"--data-dir={settings.data_dir}"
    what = ["grant", "--key", "key-1", "--actor", "ada", "--subject", "eve", "--role", "admin"]
    assert main(["emit", *what, where]) == 0
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    wait_until(lambda: clickhouse.rows("SELECT 1 AS n FROM checkpoints LIMIT 1"), "a checkpoint")
    capsys.readouterr()
    assert main(["verify", "--json", where]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(each["source"], each["proved"], each["good"]) for each in told} == {
        ("clickhouse", 1, True),
        ("kafka", 1, True),
    }
    [row] = clickhouse.rows("SELECT event_id FROM events")
    for command, file in (
        (["prove", str(row["event_id"])], "event.tlog-proof"),
        (["checkpoints", "keys"], "keys"),
    ):
        assert main([*command, where]) == 0
        (tmp_path / file).write_text(capsys.readouterr().out)
    checked = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "event.tlog-proof", "--keys", "keys"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert str(row["event_id"]) in checked.stdout
    clickhouse.run("ALTER TABLE events UPDATE role = 'reader' WHERE 1 SETTINGS mutations_sync = 2")
    assert main(["verify", where]) == 1
    assert str(row["event_id"]) in capsys.readouterr().out
