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
from keytrail.stream.event_stage import EventBatch, EventStage
from keytrail.stream.finding_stage import FindingStage
from keytrail.stream.keys import KeyDirectory
from keytrail.stream.policy import Policy
from keytrail.stream.reading import EventReader, Readable

_BATCH = 5_000
_LOWEST_PRIORITY = 19


class Reference:
    """Both stages over one partition each, without encoding."""

    def __init__(self, simulation: Simulation) -> None:
        directory = KeyDirectory()
        for key in list(simulation.keys()):
            directory.apply(key)
        self._now = 0
        policy = Policy()
        reader: EventReader = None  # type: ignore[assignment]  # events come read
        self._events = EventStage(0, reader, directory, policy, lambda: self._now)
        self._findings = FindingStage(policy, lambda: self._now)
        self._current: dict[str, Anomaly] = {}
        self._offset = 0

    def take(self, events: list[Event]) -> None:
        batch = EventBatch(list(range(self._offset, self._offset + len(events))), self._now)
        batch.readable += [
            Readable(event, b"", b"", offset) for offset, event in enumerate(events, self._offset)
        ]
        self._offset += len(events)
        self._keep(self._findings.process(self._events.process(batch).signals).anomalies)

    def findings(self) -> list[list[object]]:
        self._keep(self._findings.settle().anomalies)
        return [
            [a.rule, a.entity, a.cause, a.status != "resolved", a.count, a.evidence]
            for a in self._current.values()
        ]

    def _keep(self, anomalies: list[Anomaly]) -> None:
        self._current.update((anomaly.anomaly_id, anomaly) for anomaly in anomalies)


def main(events: str, seed: str) -> None:
    os.nice(_LOWEST_PRIORITY)
    simulation = Simulation(int(events), int(seed))
    reference, stream = Reference(simulation), simulation.events()
    done, upto, ended = 0, 0, False
    changed = threading.Condition()

    def listen() -> None:
        nonlocal upto, ended
        for line in sys.stdin:
            with changed:
                upto = int(line)
                changed.notify()
        with changed:
            ended = True
            changed.notify()

    threading.Thread(target=listen, daemon=True).start()
    while True:
        with changed:
            changed.wait_for(lambda: ended or upto - done >= _BATCH)
            if ended and done >= upto:
                break
            count = min(_BATCH, upto - done)
        reference.take(list(islice(stream, count)))
        done += count
    print(json.dumps(reference.findings()))


if __name__ == "__main__":
    main(*sys.argv[1:])
