"""`keytrail score` as it is typed, against an embedded ClickHouse."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keytrail.cli.main import main
from keytrail.deploy.embedded.ports import free_port
from keytrail.producers.simulation import Label, Simulation
from keytrail.producers.simulation.truth import write_truth
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import HttpSettings
from keytrail.sinks.clickhouse.http import ClickHouse, text
from keytrail.sinks.clickhouse.migrate import apply, committed_migrations

DEADLINE_S = 120
LABELS = Simulation(3_000, 1).truth()
DUE = [label for label in LABELS if label.expected]
NEAR = [label for label in LABELS if not label.expected]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    data_dir, port = tmp_path_factory.mktemp("score") / "data", free_port()
    module = "keytrail.deploy.embedded.gateway"
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--data-dir", str(data_dir), "--port", str(port)]
    )
    try:
        server = ClickHouse(HttpSettings(f"http://127.0.0.1:{port}"))
        wait_for(server)
        apply(HttpSettings(server.url), "keytrail", committed_migrations())
        yield server
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def wait_for(server: ClickHouse) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            server.run("SELECT 1")
            return
        except UnavailableError:
            assert time.monotonic() < deadline, "the gateway did not start in time"
            time.sleep(0.05)


@pytest.fixture
def truth(clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A truth file, an empty table of anomalies, and settings that lead to it."""
    clickhouse.run("TRUNCATE TABLE keytrail.anomalies")
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_URL", clickhouse.url)
    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_REGISTRY_URL", "http://127.0.0.1:1")
    path = tmp_path / "truth.jsonl"
    write_truth(path, LABELS)
    return path


def find(clickhouse: ClickHouse, labels: list[Label], status: str = "open") -> None:
    columns = "anomaly_id, revision, rule, entity_type, entity, cause, status"
    rows = [
        f"({text(str(label.finding))}, {1 + (status != 'open')}, "
        f"{', '.join(text(part) for part in (*label.finding, status))})"
        for label in labels
    ]
    clickhouse.run(f"INSERT INTO keytrail.anomalies ({columns}) VALUES {', '.join(rows)}")


def test_all_found_is_well(clickhouse: ClickHouse, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find(clickhouse, DUE)
    find(clickhouse, DUE[:5], status="resolved")

    assert main(["score", str(truth)]) == 0

    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["total", str(len(DUE)), str(len(DUE)), "0", "0", "0", "1.000", "1.000"]


def test_what_is_missed_and_what_is_wrong_is_named(
    clickhouse: ClickHouse, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find(clickhouse, [*DUE[1:], NEAR[0]])

    assert main(["score", str(truth)]) == 1
    printed = capsys.readouterr().out
    assert DUE[0].entity in printed
    assert DUE[0].note in printed
    assert f"near miss  {NEAR[0].rule}" in printed

    assert main(["score", str(truth), "--min-recall", "0.9", "--min-precision", "0.9", "--json"]) == 0
    rows = {row["rule"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["total"]["missed"] == [DUE[0].finding._asdict()]
    assert rows["total"]["near_misses"] == rows["total"]["wrong"] == [NEAR[0].finding._asdict()]
    assert rows["total"]["recall"] == pytest.approx((len(DUE) - 1) / len(DUE))


def test_waiting_is_over_once_all_is_found(
    clickhouse: ClickHouse, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find(clickhouse, DUE)

    assert main(["score", str(truth), "--wait", "600"]) == 0
    assert f"{len(DUE)} of {len(DUE)} found so far" in capsys.readouterr().err


def test_a_missing_table_is_said_in_a_line(
    clickhouse: ClickHouse, truth: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clickhouse.run("CREATE DATABASE IF NOT EXISTS bare")
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_DATABASE", "bare")

    assert main(["score", str(truth)]) == 1
    assert "UNKNOWN_TABLE" in capsys.readouterr().err
