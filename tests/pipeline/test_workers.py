"""Workers that come, go and die mid-stream: the same rows and the same findings as one that ran through.

The reference is the stream's own core run in this process over the same events, in order.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pytest
from running import FindingRow, Pipeline, expected_findings
from waiting import wait_until

from keytrail.deploy.groups import GroupMembers
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Event
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import WORKER_GROUP

EVENTS = 60_000


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(EVENTS, seed=11)


@pytest.fixture(scope="module")
def expected(simulation: Simulation) -> set[FindingRow]:
    return expected_findings(simulation.keys(), simulation.events())


@contextmanager
def another_worker(pipeline: Pipeline) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "keytrail.cli.main", "worker", "--data-dir", str(pipeline.data_dir)],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def test_workers_that_join_leave_and_die_change_nothing(
    pipeline: Pipeline, simulation: Simulation, expected: set[FindingRow]
) -> None:
    keys = KeyPublisher(pipeline.settings)
    for key in list(simulation.keys()):
        keys.publish(key, wait=True)
    keys.close(60)
    members = GroupMembers(pipeline.settings.kafka)
    # A steady trickle: a fetch is under way whenever partitions move.
    trickle = Trickle(pipeline.settings, simulation.events())
    trickle.start()
    rebalances = 0
    while trickle.is_alive():
        with another_worker(pipeline) as other:
            members.leave_out_present(WORKER_GROUP)
            wait_until(lambda: members.have_joined(WORKER_GROUP, 1), lambda: "the other worker is not in")
            dies = rebalances % 2 == 1
            other.send_signal(signal.SIGKILL if dies else signal.SIGTERM)
            assert other.wait(60) == (-signal.SIGKILL if dies else 0)
            rebalances += 1
    trickle.join()
    assert trickle.sent == EVENTS
    assert rebalances >= 3

    pipeline.wait_for_rows(EVENTS)
    assert pipeline.rows() == (EVENTS, EVENTS)
    pipeline.wait_for_findings(expected)
    assert_books_balance(pipeline)


class Trickle(threading.Thread):
    """Sends events a few at a time, at some two thousand a second."""

    def __init__(self, settings: Settings, events: Iterator[Event]) -> None:
        super().__init__(daemon=True)
        self._publisher = EventPublisher(settings)
        self._events = events
        self.sent = 0

    def run(self) -> None:
        pause = threading.Event()
        while some := list(islice(self._events, 40)):
            self.sent += self._publisher.publish_all(some)
            pause.wait(0.02)
        self._publisher.close(60)


def test_the_supervised_worker_comes_back_after_kill_9(pipeline: Pipeline, expected: set[FindingRow]) -> None:
    from keytrail.deploy.embedded.state import read_parts

    def worker() -> tuple[int, int, str]:
        [part] = [part for part in read_parts(pipeline.data_dir) if part.name == "worker"]
        return part.pid, part.restarts, part.state

    pid, restarts, _ = worker()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker()[1] > restarts and worker()[2] == "ready", lambda: str(worker()))
    assert pipeline.command("emit", "login", "--actor", "somebody") == 0
    pipeline.wait_for_rows(EVENTS + 1)
    pipeline.wait_for_findings(expected)


def assert_books_balance(pipeline: Pipeline) -> None:
    """Every source offset is in the table exactly once, with no hole."""
    rows = pipeline.clickhouse.rows(
        "SELECT source_partition AS p, count() AS n, uniqExact(source_offset) AS ids,"
        " max(source_offset) + 1 AS end FROM events GROUP BY p"
    )
    assert all(row["n"] == row["ids"] == row["end"] for row in rows), rows
