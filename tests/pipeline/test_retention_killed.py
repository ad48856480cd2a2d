"""`keytrail retention apply` is killed again and again: in the end the cut is whole, and was told once."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.records import Micros
from keytrail.sinks.retention.cuts import recorded_cuts

SEED = 8
KILLS = 10
LATEST_S = 4.0  # a whole run takes less
OLD, LAST = 400, 24
DAY = 86_400_000_000
WHY = ("--reason", "test", "--actor", "anna")
PROGRAM = Path(__file__).with_name("later_command.py")


def send(pipeline: Pipeline, reason: str, count: int, stored: int) -> None:
    publisher = EventPublisher(pipeline.settings)
    for number in range(count):
        at = system_clock()
        publisher.publish(
            event(
                service="app-1",
                action="use",
                subject=f"bob-{number % 8}",
                occurred_at=at,
                recorded_at=at,
                reason=reason,
            ),
            wait=True,
        )
    publisher.close(60)
    wait_until(lambda: counted(pipeline, "service = 'app-1'") == stored, "all are rows")


def counted(pipeline: Pipeline, condition: str) -> int:
    [row] = pipeline.clickhouse.rows(f"SELECT count() AS n FROM events WHERE {condition}")
    return int(str(row["n"]))


def test_killed_at_random_points_a_cut_is_whole_and_told_once(tmp_path: Path) -> None:
    config = tmp_path / "keytrail.toml"
    config.write_text('[retention.uses]\nservices = "app-*"\nkeep = "90d"\n')
    rng = random.Random(SEED)
    with running_stack(tmp_path / "data", workers=1, sinks=1, notary=True) as settings:
        pipeline = Pipeline(settings)
        assert pipeline.command("keys", "issue", "--owner", "sam", "--kind", "service", *WHY) == 0
        send(pipeline, "old", OLD, OLD)
        day = Micros(system_clock() + 90 * DAY)
        send(pipeline, "last", LAST, OLD + LAST)
        wait_until(
            lambda: bool(pipeline.clickhouse.rows("SELECT 1 AS it FROM checkpoints")), "some are signed"
        )
        command = [sys.executable, str(PROGRAM), str(day), "retention", "apply", *WHY]
        command += ["--data-dir", str(settings.data_dir)]
        env = {**os.environ, "KEYTRAIL_CONFIG": str(config)}
        ends = []
        for _ in range(KILLS):
            process = subprocess.Popen(command, env=env)
            try:
                process.wait(rng.uniform(0.5, LATEST_S))
            except subprocess.TimeoutExpired:
                process.kill()
            ends.append(process.wait())
            assert pipeline.command("verify") == 0
        assert -signal.SIGKILL in ends
        assert subprocess.run(command, env=env, check=False).returncode == 0
        assert counted(pipeline, "reason = 'old'") == 0
        assert counted(pipeline, "reason = 'last'") == LAST
        [cut] = recorded_cuts(pipeline.clickhouse)
        assert cut.rows == OLD
        assert pipeline.command("status", "--check") == 0
        assert pipeline.command("verify") == 0
