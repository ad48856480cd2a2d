"""Workers that start together over a topic that is full already, before anything was ever committed."""

from contextlib import ExitStack
from pathlib import Path

from running import Pipeline, running_part
from scratch_stack import running_stack

from keytrail.producers.publisher import EventPublisher
from keytrail.producers.simulation import Simulation

EVENTS = 30_000


def test_nothing_is_passed_over_where_nothing_was_committed_yet(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data", workers=0, sinks=1) as settings, ExitStack() as workers:
        publisher = EventPublisher(settings)
        assert publisher.publish_all(Simulation(EVENTS, seed=3).events()) == EVENTS
        publisher.close(60)
        # Each that joins moves partitions while the others fetch for the first time.
        for _ in range(3):
            workers.enter_context(running_part("worker", settings.data_dir))
        pipeline = Pipeline(settings)
        pipeline.wait_for_rows(EVENTS)
        assert pipeline.rows() == (EVENTS, EVENTS)
