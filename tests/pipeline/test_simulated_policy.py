"""A simulated company with a policy of its own, and a worker that checks signatures."""

import json
import os
from pathlib import Path

import pytest
from running import Pipeline

EVENTS = ("--events", "3000", "--seed", "3")
# Others may show for a moment where half a year is read at once.
BY_POLICY = {"missing_signature", "invalid_signature", "expired_exception"}


def test_who_has_not_signed_and_whose_exception_is_over_is_found_and_nobody_else(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, truth = str(tmp_path / "company.yaml"), str(tmp_path / "truth.jsonl")
    first = ("--owner", "deploy-bot", "--kind", "service", "--reason", "makes the first admin")
    assert pipeline.command("keys", "issue", *first) == 0
    assert pipeline.command("simulate", *EVENTS, "--policy", policy, "--out", os.devnull) == 0
    assert pipeline.command("policy", "apply", policy, "--reason", "the simulated company's") == 0
    assert pipeline.command("simulate", *EVENTS, "--policy", policy, "--truth", truth) == 0

    capsys.readouterr()
    assert pipeline.command("score", truth, "--wait", "120", "--min-recall", "1", "--json") == 0
    scores = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {
        score["rule"]
        for score in scores
        if score["rule"] in BY_POLICY and score["recall"] == score["precision"] == 1
    } == BY_POLICY
    states = pipeline.clickhouse.rows("SELECT DISTINCT signature AS state FROM events ORDER BY state")
    assert [row["state"] for row in states] == ["invalid", "unsigned", "verified"]
