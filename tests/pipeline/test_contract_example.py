"""The producer in `docs/topic-contract.md`, which has nothing of ours, against a running pipeline."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import Pipeline
from waiting import wait_until

ROOT = Path(__file__).parents[2]
[EXAMPLE] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "topic-contract.md").read_text(), re.DOTALL)


def test_its_events_are_verified_rows(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = ("keys", "issue", "--id", "team.payments", "--owner", "payments", "--kind", "service", "--secret")
    assert pipeline.command(*issue, "--reason", "test", "--actor", "anna") == 0
    token = capsys.readouterr().out.splitlines()[1]
    shutil.copy(ROOT / "schemas" / "avsc" / "event.v1.avsc", tmp_path)
    addresses = {"KAFKA": pipeline.settings.kafka.bootstrap, "REGISTRY": pipeline.settings.registry.url}
    # It would fail if it used anything of ours.
    program = f"import sys; sys.modules['keytrail'] = None\n{EXAMPLE}"
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | addresses | {"KEY_TOKEN": token},
        timeout=120,
        check=True,
    )

    def rows() -> list[tuple[object, ...]]:
        query = "SELECT subject, role, key_id, key_status, signature FROM events WHERE service = 'payments'"
        return sorted(tuple(row.values()) for row in pipeline.clickhouse.rows(query))

    expected = [
        ("carl", role, "team.payments", "active", "verified") for role in ("ledger-read", "ledger-write")
    ]
    wait_until(lambda: rows() == expected, lambda: str(rows()))
    found = pipeline.clickhouse.rows("SELECT rule FROM anomalies WHERE entity = 'team.payments'")
    assert found == []
    assert pipeline.command("status", "--check") == 0
