"""A simulated company with a policy of its own, and a worker that checks signatures."""

import json
import os
from pathlib import Path

import pytest
from running import Pipeline
from scratch_stack import running_stack

from keytrail.cli.main import main

EVENTS = ("--events", "3000", "--seed", "3")
# Of others more may show for a moment, where half a year is read at once.
BY_POLICY = {"missing_signature", "invalid_signature", "expired_exception"}


def test_all_is_found_and_what_was_signed_or_excepted_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, truth = tmp_path / "company.yaml", tmp_path / "truth.jsonl"
    simulate = ("simulate", *EVENTS, "--policy", str(policy))
    assert main([*simulate, "--out", os.devnull]) == 0
    with running_stack(tmp_path / "data", workers=1, sinks=1, policy=policy) as settings:
        pipeline = Pipeline(settings)
        assert pipeline.command(*simulate, "--truth", str(truth)) == 0

        capsys.readouterr()
        flags = ("--wait", "120", "--min-recall", "1", "--min-precision", "0", "--json")
        code = pipeline.command("score", str(truth), *flags)
        scores = {row["rule"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
        assert code == 0, scores["total"]["missed"]
        assert [scores[rule]["wrong"] for rule in sorted(BY_POLICY)] == [[], [], []]
        states = pipeline.clickhouse.rows("SELECT DISTINCT signature AS state FROM events ORDER BY state")
        assert [row["state"] for row in states] == ["invalid", "unsigned", "verified"]
