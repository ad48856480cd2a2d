"""What was fetched and would be dropped on its way to a partition's task: none of it is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import forgetful_worker
import pytest
from running import Pipeline, running_part
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.deploy.groups import GroupMembers
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import WORKER_GROUP


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_stack(tmp_path_factory.mktemp("pipeline") / "data", workers=0, sinks=1) as settings:
        yield Pipeline(settings)


def test_what_is_fetched_before_streams_resume_is_processed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Faust's own pause between an assignment and the moment at which its streams go on: by itself some turns
    # of its loop, which on a busy machine take longer than a fetch.
    monkeypatch.setenv("STREAM_RECOVERY_DELAY", "0.5")
    members = GroupMembers(pipeline.settings.kafka)
    with running_part("worker", pipeline.data_dir) as first:
        with steady_events(pipeline.settings) as publisher:
            for _ in range(3):
                members.leave_out_present(WORKER_GROUP)
                with running_part("worker", pipeline.data_dir):
                    wait_until(lambda: members.have_joined(WORKER_GROUP, 1), lambda: "the worker is not in")
        pipeline.wait_for_rows(publisher.sent)
        assert first.process.poll() is None
    assert pipeline.rows() == (publisher.sent, publisher.sent)


def test_a_worker_that_misses_a_batch_ends_and_the_next_one_has_it(pipeline: Pipeline) -> None:
    before, _ = pipeline.rows()
    with steady_events(pipeline.settings) as publisher:
        with running_part("worker", pipeline.data_dir, program=(forgetful_worker.__file__,)) as forgetful:
            assert forgetful.process.wait(60) == 1
        assert f"batch {forgetful_worker.LOST + 1} came where" in forgetful.log.read_text()
    with running_part("worker", pipeline.data_dir):
        sent = before + publisher.sent
        pipeline.wait_for_rows(sent)
        assert pipeline.rows() == (sent, sent)
        assert pipeline.command("status", "--check") == 0


class SteadyPublisher(threading.Thread):
    """Sends some events every few milliseconds, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._publisher = EventPublisher(settings)
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        while not self._stopping.wait(0.01):
            self.sent += self._publisher.publish_all(event(subject=f"subject-{n}") for n in range(20))
        self._publisher.close(60)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@contextmanager
def steady_events(settings: Settings) -> Iterator[SteadyPublisher]:
    publisher = SteadyPublisher(settings)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()
