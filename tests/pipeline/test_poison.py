"""A record that kills the worker: after two deaths it is a dead letter, and all others are processed."""

import signal
from pathlib import Path

import deadly_worker
from running import Pipeline, running_part
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.producers.publisher import EventPublisher

EVENTS = 200


def test_what_kills_the_worker_twice_is_set_aside_and_can_be_replayed(tmp_path: Path) -> None:
    deadly = event(subject="mallory", reason=deadly_worker.WORD)
    with running_stack(tmp_path / "data", workers=0, sinks=1) as settings:
        pipeline = Pipeline(settings)
        publisher = EventPublisher(settings)
        some = [event(subject=f"subject-{n % 20}") for n in range(EVENTS)]
        assert publisher.publish_all([*some[:100], deadly, *some[100:]]) == EVENTS + 1
        publisher.close(60)

        deadly_program = (deadly_worker.__file__,)
        for _ in range(2):
            with running_part("worker", settings.data_dir, program=deadly_program) as dying:
                assert dying.process.wait(60) == -signal.SIGKILL
        with running_part("worker", settings.data_dir, program=deadly_program) as living:
            pipeline.wait_for_rows(EVENTS)
            wait_until(lambda: letters(pipeline) == ["poison"], lambda: str(letters(pipeline)))
            assert living.process.poll() is None
        with running_part("worker", settings.data_dir):
            # A version in which it is mended.
            assert pipeline.command("deadletter", "replay", "--reason", "poison") == 0
            pipeline.wait_for_rows(EVENTS + 1)
            assert pipeline.rows() == (EVENTS + 1, EVENTS + 1)
            assert pipeline.command("status", "--check") == 0


def letters(pipeline: Pipeline) -> list[str]:
    return [str(row["reason"]) for row in pipeline.clickhouse.rows("SELECT reason FROM dead_letters")]
