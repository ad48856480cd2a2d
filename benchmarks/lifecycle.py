"""How long the stream pauses while workers stop, die, come and are renewed one after the other.

Events trickle in for all partitions.  A pause is the longest time in which one partition's enriched events
did not grow by a record that a subscriber may read.
"""

import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle

from benchmarks.measure import keep
from benchmarks.stack import running_stack, start, stop, subscriber
from keytrail.deploy.groups import GroupMembers
from keytrail.producers.publisher import EventPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, ENRICHED, WORKER_GROUP

ROUNDS = 5
_RATE = 400
_TIMEOUT_S = 120.0
_POLL_S = 0.02


class Trickle(threading.Thread):
    """Sends events at a steady rate until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._publisher = EventPublisher(settings)
        self.stopping = threading.Event()

    def run(self) -> None:
        batch = _RATE // 50
        events = iter(Simulation(1_000_000, seed=3).events())
        for _ in cycle([None]):
            if self.stopping.wait(0.02):
                break
            self._publisher.publish_all([next(events) for _ in range(batch)])
        self._publisher.close(30)


class Watch(threading.Thread):
    """Reads enriched events as a subscriber does, and notes when each partition grew."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._consumer = subscriber(settings, ENRICHED)
        self._grew = dict.fromkeys(range(DEFAULT_PARTITIONS), time.monotonic())
        self._pauses = dict.fromkeys(range(DEFAULT_PARTITIONS), 0.0)
        self._lock = threading.Lock()

    def run(self) -> None:
        while True:
            message = self._consumer.poll(1.0)
            if message is not None and message.error() is None:
                self._note(message.partition() or 0)

    def _note(self, partition: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._pauses[partition] = max(self._pauses[partition], now - self._grew[partition])
            self._grew[partition] = now

    def begin(self) -> None:
        """Pauses are measured from now on."""
        with self._lock:
            now = time.monotonic()
            self._grew = dict.fromkeys(self._grew, now)
            self._pauses = dict.fromkeys(self._pauses, 0.0)

    def flows_since(self, moment: float) -> bool:
        """Every partition has grown since."""
        with self._lock:
            return all(grew > moment for grew in self._grew.values())

    def longest(self) -> float:
        with self._lock:
            return max(self._pauses.values())


@dataclass
class Figure:
    name: str
    limit_s: float
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def line(self) -> str:
        return f"| {self.name} | {self.median:.1f} s | {max(self.seconds):.1f} s | {self.limit_s:.0f} s |"


class Bench:
    def __init__(self, settings: Settings, watch: Watch) -> None:
        self._settings = settings
        self._watch = watch
        self._members = GroupMembers(settings.kafka)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.stop = Figure("SIGTERM to the end of the process", 5)
        self.takeover = Figure("pause after kill -9, until another worker has taken over", 10)
        self.hand_over = Figure("pause after SIGTERM, until another worker has taken over", 10)
        self.restart = Figure("pause while a worker with --instance is killed and started again", 10)
        self.rolling = Figure("longest pause while two workers with --instance are renewed in turn", 10)

    def figures(self) -> Iterator[Figure]:
        yield from (self.stop, self.hand_over, self.takeover, self.restart, self.rolling)

    def run(self) -> None:
        self._start("one")
        self._start("two")
        for _ in range(ROUNDS):
            self.hand_over.seconds.append(self._pause(self._terminate))
            self._start("two")
            self.takeover.seconds.append(self._pause(self._kill))
            self._start("two")
        self.close()
        self._start("one", static=True)
        self._start("two", static=True)
        for _ in range(ROUNDS):
            self.restart.seconds.append(self._pause(self._kill_and_start))
            self.rolling.seconds.append(self._pause(self._renew_all))

    def close(self) -> None:
        for worker in self._workers.values():
            stop(worker)
        self._workers.clear()

    def _pause(self, act: Callable[[], None]) -> float:
        """The longest pause from the act until every partition flows again."""
        self._watch.begin()
        act()
        self._flow()
        return self._watch.longest()

    def _terminate(self) -> None:
        worker = self._workers.pop("two")
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(_TIMEOUT_S)
        assert code == 0, f"the worker ended with {code}"
        self.stop.seconds.append(time.monotonic() - began)

    def _kill(self) -> None:
        stop(self._workers.pop("two"))

    def _kill_and_start(self) -> None:
        self._kill()
        self._start("two", static=True)

    def _renew_all(self) -> None:
        for name in ("one", "two"):
            worker = self._workers.pop(name)
            worker.terminate()
            worker.wait(_TIMEOUT_S)
            self._start(name, static=True)
            self._flow()

    def _start(self, name: str, *, static: bool = False) -> None:
        """Start the worker and wait until it is a member and everything flows."""
        self._members.leave_out_present(WORKER_GROUP)
        instance = ("--instance", name) if static else ()
        self._workers[name] = start(self._settings, "worker", *instance)
        _wait(lambda: self._members.have_joined(WORKER_GROUP, 1), "the worker joins")
        self._flow()

    def _flow(self) -> None:
        now = time.monotonic()
        _wait(lambda: self._watch.flows_since(now), "every partition flows")


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_TIMEOUT_S:.0f} s: {what}")
        time.sleep(_POLL_S)


def main() -> None:
    with running_stack() as settings:
        trickle, watch = Trickle(settings), Watch(settings)
        trickle.start()
        watch.start()
        bench = Bench(settings, watch)
        try:
            bench.run()
        finally:
            bench.close()
            trickle.stopping.set()
            trickle.join()
    figures = list(bench.figures())
    lines = ["| what | median | worst | wanted at most |", "|---|---|---|---|", *(f.line() for f in figures)]
    keep(
        "lifecycle", {"seconds": {figure.name: figure.seconds for figure in figures}}, "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
