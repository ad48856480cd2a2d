"""`keytrail simulate` as it is typed, without a pipeline."""

import json
from pathlib import Path

import pytest

from keytrail.cli.main import main
from keytrail.cli.simulate import paced
from keytrail.producers.simulation import Simulation
from keytrail.producers.simulation.truth import read_truth


def test_keys_come_first_then_all_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = tmp_path / "truth.jsonl"

    assert main(["simulate", "--events", "3000", "--seed", "5", "--truth", str(truth), "--out", "-"]) == 0

    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    kinds = [row.pop("record") for row in rows]
    simulation = Simulation(3_000, 5)
    keys = len(simulation.keys())
    assert kinds == ["key"] * keys + ["event"] * 3_000
    assert rows[keys:] == [vars(event) for event in simulation.events()]
    assert read_truth(truth) == simulation.truth()
    assert "3000 events" in printed.err


def test_the_companys_own_policy_is_written_and_one(tmp_path: Path) -> None:
    truth, policy = tmp_path / "truth.jsonl", tmp_path / "policy.yaml"
    flags = ["--events", "3000", "--seed", "5", "--truth", str(truth), "--policy", str(policy)]

    assert main(["simulate", *flags, "--out", str(tmp_path / "events.jsonl")]) == 0

    simulation = Simulation(3_000, 5, own_policy=True)
    assert policy.read_text() == simulation.policy()
    assert read_truth(truth) == simulation.truth()
    assert main(["policy", "check", str(policy)]) == 0


def test_without_a_master_secret_no_company_is_sent_that_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_REGISTRY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_SIGNING_MASTERS", str(tmp_path / "masters.json"))
    policy = tmp_path / "policy.yaml"

    assert main(["simulate", "--events", "3000", "--seed", "5", "--policy", str(policy)]) == 2

    assert "no master secret" in capsys.readouterr().err
    assert not policy.exists()


def test_a_company_that_does_not_sign_needs_no_master_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    masters = tmp_path / "masters.json"
    masters.write_text("{}")
    masters.chmod(0o644)  # everybody may read it, and who wants secrets of it is told so
    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_REGISTRY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KEYTRAIL_SIGNING_MASTERS", str(masters))

    assert main(["simulate", "--events", "3000", "--seed", "5"]) == 1

    assert "registry" in capsys.readouterr().err


def test_a_file_takes_what_is_not_sent(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    flags = ["--events", "150", "--seed", "1", "--start", "2025-06-01", "--no-anomalies"]

    assert main(["simulate", *flags, "--out", str(out)]) == 0

    events = [row for line in out.open() if (row := json.loads(line))["record"] == "event"]
    assert len(events) == 150
    assert min(event["occurred_at"] for event in events) >= 1_748_736_000_000_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--events", "10"], "too few"),
        (["--events", "3000", "--rate", "0"], "--rate"),
        (["--events", "3000", "--rate", "nan"], "--rate"),
        (["--events", "3000", "--truth", "nowhere/truth.jsonl"], "no folder"),
        (["--events", "3000", "--policy", "nowhere/policy.yaml"], "no folder"),
    ],
)
def test_wrong_use_is_said_before_anything_is_written(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seed", "1", "--out", "-", *flags]) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--events", "3000", "--seed", "1", "--out", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_a_date_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "--events", "3000", "--seed", "1", "--start", "soon"])
    assert stopped.value.code == 2
    assert "soon" in capsys.readouterr().err


def test_a_rate_is_kept_and_lost_time_caught_up_on() -> None:
    now = 0.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    events = paced(Simulation(3_000, 1).events(), 10.0, lambda: now, sleep)
    next(events)
    next(events)
    assert slept == pytest.approx([0.1])
    now = 0.35
    for _ in range(3):
        next(events)
    assert slept == pytest.approx([0.1, 0.05])


def test_a_truth_file_that_is_none_cannot_be_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text("hello\n")

    assert main(["score", str(path)]) == 2
    assert "line 1" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--min-recall", "--min-precision"])
def test_a_minimum_lies_between_0_and_1(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(tmp_path / "truth.jsonl"), flag, "99"]) == 2
    assert flag in capsys.readouterr().err
