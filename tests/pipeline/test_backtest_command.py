"""`keytrail backtest` on a pipeline's own past: it agrees with the findings, and leaves nothing behind."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from running import Pipeline
from waiting import wait_until

from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher
from keytrail.producers.simulation import Simulation
from keytrail.producers.simulation.scoring import PASSING
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros
from keytrail.stream.backtest.history import History
from keytrail.stream.backtest.side_by_side import Past, judge_both
from keytrail.stream.policies.policy import Policy

EVENTS = 5_000
_PASSING = {*PASSING, "role_sprawl"}
_HERE = "KEYTRAIL_TEST_PROCESS"
_FINDINGS = "SELECT rule, count() AS found FROM anomalies_current GROUP BY rule"


def test_a_policy_is_tried_on_the_past(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipeline.command("simulate", "--events", str(EVENTS), "--seed", "7") == 0
    pipeline.wait_for_rows(EVENTS)
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nsprawl: {least_roles: 12}\n")

    *rows, done = _backtest(pipeline, capsys, str(policy))
    rules = {row["rule"]: row for row in rows if "rule" in row}
    assert done["records"] == done["events"] == EVENTS
    assert done["policy_version"] != done["against_version"]
    assert rules["role_sprawl"]["gone"] > 0
    assert {name for name, row in rules.items() if row["new"] or row["gone"] or row["changed"]} == {
        "role_sprawl"
    }
    # All keys were known before the first event, so the worker finds just what the backtest does.  What was
    # over before the end of the past may be among it or not, for some rules: see `running.lasting`.
    expected = {name: row["in_force"] for name, row in rules.items() if name not in _PASSING}
    wait_until(lambda: _live(pipeline) == expected, lambda: f"{_live(pipeline)}, not {expected}")

    *rows, _ = _backtest(pipeline, capsys, str(policy), "--against", str(policy))
    assert not any(row["new"] or row["gone"] or row["changed"] for row in rows if "rule" in row)

    # By when Kafka took them, not by their own times, which lie months apart.
    for flag, moment, count in (
        ("--since", "1h", EVENTS),
        ("--since", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), 0),
        ("--until", "1h", 0),
        ("--until", "2100-01-01", EVENTS),
    ):
        assert _backtest(pipeline, capsys, str(policy), flag, moment)[-1]["records"] == count

    assert pipeline.command("backtest", str(policy)) == 0
    table = capsys.readouterr().out
    assert "RULE" in table
    assert "times real time at 1000 events a second." in table
    assert pipeline.rows() == (EVENTS, EVENTS)


def test_times_in_the_wrong_order_are_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    assert pipeline.command("backtest", str(tmp_path / "any"), "--since", "1d", "--until", "2d") == 2


def test_what_goes_wrong_in_the_other_process_is_told(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = EventPublisher(pipeline.settings)
    publisher.publish_all(Simulation(1_000, seed=7, anomalies=False).events())
    publisher.close(60)
    history = History(pipeline.settings.kafka)
    past = Past(history.partitions(), history.spans(None, None), history.keys())
    monkeypatch.setenv(_HERE, str(os.getpid()))
    for clock, said in ((clock_that_fails, "No time is known."), (clock_that_kills, "before its answer")):
        with pytest.raises(KeytrailError, match=said):
            judge_both(pipeline.settings, (Policy(), Policy()), past, clock, lambda _: None)


def clock_that_fails() -> Micros:
    if os.environ[_HERE] != str(os.getpid()):
        raise KeytrailError("No time is known.")
    return system_clock()


def clock_that_kills() -> Micros:
    if os.environ[_HERE] != str(os.getpid()):
        os._exit(1)
    return system_clock()


def _live(pipeline: Pipeline) -> dict[object, object]:
    rows = pipeline.clickhouse.rows(_FINDINGS)
    return {row["rule"]: row["found"] for row in rows if row["rule"] not in _PASSING}


def _backtest(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert pipeline.command("backtest", *arguments, "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
