"""The same findings, whichever way the events go: workers, batches, restarts, and a backtest of the past."""

import os
import signal
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

import pytest
from running import FindingRow, Pipeline, finding_rows, lasting
from scratch_stack import running_stack
from test_backtest import FixedRegistry, past
from waiting import wait_until
from world import World

from keytrail.deploy.embedded.state import read_parts
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Event, Key, Micros
from keytrail.stream.backtest.backtest import Backtest
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy

EVENTS = 6_000
Way = Callable[[Path], set[FindingRow]]


@cache
def simulation() -> Simulation:
    return Simulation(EVENTS, seed=23)


@cache
def history() -> tuple[tuple[Key, ...], tuple[Event, ...]]:
    return tuple(simulation().keys()), tuple(simulation().events())


def latest() -> Micros:
    return max(event.occurred_at for event in history()[1])


def in_batches(size: int, _folder: Path) -> set[FindingRow]:
    keys, events = history()
    world = World(keys, clock=latest)
    world.send(*events, batch=size)
    return finding_rows(world.current().values())


def restarted(_folder: Path) -> set[FindingRow]:
    """From what the changelogs keep of the first half."""
    keys, events = history()
    first = World(keys, clock=latest)
    first.send(*events[: EVENTS // 2], batch=17)
    second = World(keys, clock=latest)
    second.adopt_log(first)
    for key, value in first.changelog:
        second.events.restore(key, value)
    for key, value in first.finding_changelog:
        second.findings.restore(key, value)
    second.anomalies += first.anomalies
    second.send(*events[EVENTS // 2 :], batch=17)
    return finding_rows(second.current().values())


def in_a_backtest(size: int, _folder: Path) -> set[FindingRow]:
    keys, events = history()
    directory = KeyDirectory()
    for key in keys:
        directory.apply(key)
    backtest = Backtest(Policy(), directory, FixedRegistry(), latest, partitions=3)
    records = past(events, 3)
    for start in range(0, EVENTS, size):
        backtest.take(records[start : start + size])
    return finding_rows(backtest.findings())


def live(workers: int, folder: Path, *, kills: bool = False) -> set[FindingRow]:
    """Through Kafka and ClickHouse; with `kills`, a worker dies by `kill -9` half way."""
    keys, events = history()
    with running_stack(folder / "data", workers=workers, sinks=1) as settings:
        pipeline = Pipeline(settings)
        publisher = KeyPublisher(settings)
        publisher.publish_all(keys)
        publisher.close(60)
        publish(pipeline, events[: EVENTS // 2])
        if kills:
            pipeline.wait_for_rows(1)
            kill_a_worker(pipeline)
        publish(pipeline, events[EVENTS // 2 :])
        pipeline.wait_for_rows(EVENTS)
        pipeline.wait_for_findings(reference())
        assert pipeline.rows() == (EVENTS, EVENTS)
        return pipeline.findings()


def publish(pipeline: Pipeline, events: Iterable[Event]) -> None:
    publisher = EventPublisher(pipeline.settings)
    publisher.publish_all(events)
    publisher.close(60)


def kill_a_worker(pipeline: Pipeline) -> None:
    def worker() -> tuple[int, int]:
        [part] = [part for part in read_parts(pipeline.data_dir) if part.name == "worker"]
        return part.pid or 0, part.restarts

    pid, restarts = worker()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker()[1] > restarts, lambda: str(worker()))


@cache
def reference() -> frozenset[FindingRow]:
    return frozenset(in_batches(1_000, Path()))


WAYS: dict[str, Way] = {
    "batches of 1": partial(in_batches, 1),
    "batches of 17": partial(in_batches, 17),
    "batches of 5000": partial(in_batches, 5_000),
    "restarted": restarted,
    "backtest": partial(in_a_backtest, 5_000),
    "backtest, batches of 17": partial(in_a_backtest, 17),
    "one worker": partial(live, 1),
    "three workers": partial(live, 3),
    "killed": partial(live, 1, kills=True),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_same_findings(way: Way, tmp_path: Path) -> None:
    assert len({found.rule for found in reference()}) >= 20
    assert lasting(way(tmp_path)) == lasting(reference())
