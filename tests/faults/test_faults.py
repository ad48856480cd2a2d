"""The pipeline under load while its parts are killed and stopped and its links fail: 0 lost, 0 doubled."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from audit import Audit
from children import Feeding
from monitor import Monitor
from plan import draw
from report import log_tails, recovery_lines
from running import Pipeline
from scheduler import Scheduler
from stack import FaultStack, fault_stack
from waiting import wait_until

from keytrail.producers.publisher import KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.topics import DEFAULT_PARTITIONS

# More than is sent in a run: the simulation spreads half a year over them.
EVENTS_A_FAULT = 45_000
# The load waits while more than this is under way: a backlog would hide how soon things go on.
AHEAD_A_FAULT, AHEAD_MOST = 6_000, 100_000
FIRST_ROWS_S = 120.0
DRAIN_S = 900.0

Say = Callable[[str], None]


@pytest.mark.faults
def test_nothing_is_lost_and_nothing_there_twice_whatever_dies(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, seed, rate = (
        request.config.getoption(name) for name in ("--faults", "--fault-seed", "--fault-rate")
    )

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    say(f"\n{count} faults, seed {seed}, up to {rate:,.0f} events a second")
    with fault_stack(tmp_path / "data") as stack:
        try:
            problems = Run(stack, count, seed, rate, say).problems()
        except BaseException:
            for line in [*stack.reports[-10:], *log_tails(tmp_path / "data" / "logs")]:
                say(line)
            raise
    assert not problems, "\n".join(problems)


class Run:
    def __init__(self, stack: FaultStack, faults: int, seed: int, rate: float, say: Say) -> None:
        self._stack = stack
        self._faults = faults
        self._seed = seed
        self._rate = rate
        self._say = say
        self._events = EVENTS_A_FAULT * (faults + 2)
        self._ahead = min(AHEAD_A_FAULT * faults, AHEAD_MOST)
        self._pipeline = Pipeline(stack.settings)

    def problems(self) -> list[str]:
        """What was wrong after all faults; keys come first, then events and faults together."""
        self._publish_keys()
        monitor = Monitor(self._stack.settings, DEFAULT_PARTITIONS)
        try:
            return self._under_load(monitor)
        finally:
            monitor.stop()

    def _publish_keys(self) -> None:
        keys = KeyPublisher(self._stack.settings)
        keys.publish_all(Simulation(self._events, self._seed).keys())
        keys.close(60)

    def _under_load(self, monitor: Monitor) -> list[str]:
        settings, say = self._stack.settings, self._say
        faults = draw(self._faults, self._seed, [*self._stack.parts()], [*self._stack.proxies])
        began = time.monotonic()
        with Feeding(
            settings, self._events, self._seed, self._rate, self._ahead, lambda: monitor.rows
        ) as feeding:
            assert monitor.wait(monitor.begin(), FIRST_ROWS_S), "nothing flows before the first fault"
            happened = Scheduler(self._stack, monitor, self._seed, say).run(faults)
            sent, loaded_s = feeding.stop(), time.monotonic() - began
            say(f"{sent} events in {loaded_s:.0f} s: {sent / loaded_s:,.0f} a second")
            for line in recovery_lines(happened):
                say(line)
            self._drain(sent)
            say(f"drained {time.monotonic() - began - loaded_s:.0f} s after the last event")
            audit = Audit(self._pipeline, say)
            audit.run(sent, feeding.findings())
        return audit.problems

    def _drain(self, sent: int) -> None:
        rows = self._pipeline.rows
        wait_until(lambda: rows()[0] >= sent, lambda: f"{rows()} rows of {sent}", DRAIN_S)
