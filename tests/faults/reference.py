"""The findings of an undisturbed run: the stream's own core over the same events in order, as a process.

    reference.py EVENTS SEED

Reads from stdin, a line each: `N`, the events that were sent by now at least.  At the end of stdin the
last N is the number of them all; prints the findings after these, as one JSON list of lists.
"""

import json
import os
import sys
import threading
from itertools import islice

from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Anomaly, Event
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader, Readable
from keytrail.stream.stages.event_stage import EventBatch, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.worker.at_hand import Slot

_BATCH = 5_000
_LOWEST_PRIORITY = 19


class Reference:
    """Both stages over one partition each, without encoding."""

    def __init__(self, simulation: Simulation) -> None:
        directory = KeyDirectory()
        for key in list(simulation.keys()):
            directory.apply(key)
        self._now = 0
        policies = Timeline(Policy())
        reader: EventReader = None  # type: ignore[assignment]  # events come read
        self._events = EventStage(0, reader, directory, policies, lambda: self._now, Slot())
        self._findings = FindingStage(policies, directory, lambda: self._now)
        self._current: dict[str, Anomaly] = {}
        self._offset = 0

    def take(self, events: list[Event]) -> None:
        batch = EventBatch(list(range(self._offset, self._offset + len(events))), self._now)
        batch.readable += [
            Readable(event, b"", b"", offset) for offset, event in enumerate(events, self._offset)
        ]
        self._offset += len(events)
        self._keep(self._findings.process(self._events.process(batch).signals))

    def findings(self) -> list[list[object]]:
        self._keep(self._findings.settle())
        return [
            [a.rule, a.entity, a.cause, a.status != "resolved", a.count, a.evidence]
            for a in self._current.values()
        ]

    def _keep(self, anomalies: list[Anomaly]) -> None:
        self._current.update((anomaly.anomaly_id, anomaly) for anomaly in anomalies)


class Pace:
    """How far the events are known to have been sent; follows stdin in a thread."""

    def __init__(self) -> None:
        self._upto = 0
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self, done: int) -> int:
        """How many events to take next; waits for a whole batch of them.  0 at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._upto - done >= _BATCH)
            return min(_BATCH, self._upto - done)

    def _listen(self) -> None:
        for line in sys.stdin:
            with self._changed:
                self._upto = int(line)
                self._changed.notify()
        with self._changed:
            self._ended = True
            self._changed.notify()


def main(events: str, seed: str) -> None:
    os.nice(_LOWEST_PRIORITY)
    simulation = Simulation(int(events), int(seed))
    reference, stream, pace = Reference(simulation), simulation.events(), Pace()
    done = 0
    while count := pace.next(done):
        reference.take(list(islice(stream, count)))
        done += count
    sys.stdout.write(json.dumps(reference.findings()))


if __name__ == "__main__":
    main(*sys.argv[1:])
