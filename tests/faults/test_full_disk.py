"""A full disk under each part: it is said plainly, and nothing that was acknowledged is lost."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from acknowledged import AcknowledgedEvents
from running import Pipeline
from scratch_stack import running_stack
from small_disk import SmallDisk, small_disk
from waiting import wait_until

from keytrail.deploy.embedded.state import read_parts
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import NoAnswerError, NotSentError, RefusedError

pytestmark = pytest.mark.faults
EVENT_IDS = "SELECT event_id FROM events"
SIMULATION = Simulation(2_000_000, seed=5)  # more than any outage here lasts for


def log(settings: Settings, part: str) -> str:
    return (settings.data_dir / "logs" / f"{part}.log").read_text(errors="replace")


def stand(data_dir: Path, disks: dict[str, int], stack: ExitStack) -> tuple[Settings, dict[str, SmallDisk]]:
    """A whole pipeline whose folders of these names lie on disks of so many megabytes."""
    mounted = {name: stack.enter_context(small_disk(data_dir / name, size)) for name, size in disks.items()}
    return stack.enter_context(running_stack(data_dir, workers=1, sinks=1)), mounted


def fill_and_free(settings: Settings, disk: SmallDisk, noticed: Callable[[int], bool], what: str) -> None:
    """Events flow before, while and after the disk is full; each acknowledged one is a row, once.

    `noticed` is told how many rows there were before the disk was full.
    """
    pipeline = Pipeline(settings)
    with AcknowledgedEvents(settings, SIMULATION.events()) as sent:
        pipeline.wait_for_rows(1)
        rows = pipeline.rows()[0]
        disk.fill()
        wait_until(lambda: noticed(rows), what)
        disk.free()
        counted = len(sent.acknowledged)
        wait_until(
            lambda: len(sent.acknowledged) > counted + 500,
            lambda: f"events are acknowledged again; not sent: {Counter(sent.failed.values())}",
        )

    def missing() -> set[str]:
        try:
            return sent.acknowledged - {str(r["event_id"]) for r in pipeline.clickhouse.rows(EVENT_IDS)}
        except (RefusedError, NotSentError, NoAnswerError):
            return sent.acknowledged  # the engine is started anew, in case a part was cut off

    # What the producer gave up may be there all the same: the broker had it, and could not say so.
    wait_until(lambda: not missing(), lambda: f"{len(missing())} acknowledged events are no rows")
    stored, ids = pipeline.rows()
    assert stored == ids
    assert pipeline.command("status", "--check") == 0


def test_under_the_broker(tmp_path: Path) -> None:
    with ExitStack() as stack:
        settings, disks = stand(tmp_path / "data", {"kafka": 300}, stack)

        def is_down(_rows: int) -> bool:
            return any(
                p.name == "kafka" and p.state == "waiting to restart" for p in read_parts(settings.data_dir)
            )

        fill_and_free(settings, disks["kafka"], is_down, "the broker has stopped for want of space")
        assert "No space left on device" in log(settings, "kafka")


def test_under_clickhouse(tmp_path: Path) -> None:
    with ExitStack() as stack:
        settings, disks = stand(tmp_path / "data", {"clickhouse": 200}, stack)

        def says(_rows: int) -> bool:
            return "no disk space left" in log(settings, "sink")

        fill_and_free(settings, disks["clickhouse"], says, "the sink says that ClickHouse has no space")


def test_under_the_state_folder(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with ExitStack() as stack:
        state = stack.enter_context(small_disk(data_dir, 60))
        settings, _ = stand(data_dir, {"kafka": 400, "clickhouse": 400}, stack)
        pipeline = Pipeline(settings)

        def flows(rows: int) -> bool:
            return pipeline.rows()[0] > rows + 5_000

        fill_and_free(settings, state, flows, "events become rows all the same")
