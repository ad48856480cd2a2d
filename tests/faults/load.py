"""Constant load, as a process: sends a simulation's events in order, and knows exactly how many it sent.

    load.py BOOTSTRAP REGISTRY EVENTS SEED RATE

Reads from stdin, a line each: `N`, the events that may be sent by now at most.  At the end of stdin it
stops.  Prints `sent N` as it goes on and `done N` once Kafka has acknowledged them all.  Idempotent:
what a retry sends twice is stored once, in order.
"""

import sys
import threading
import time
from itertools import islice
from pathlib import Path

from keytrail.producers.publisher import EventPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

_SLICE_S = 0.05
# Longer than any outage of the broker here: what was taken is never given up.
_PATIENCE_MS = "1800000"
_FLUSH_S = 600.0


class Allowance:
    """How many events may be sent; None once there are to be no more."""

    def __init__(self) -> None:
        self.upto: int | None = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self.upto = int(line)
        self.upto = None


def main(bootstrap: str, registry: str, events: str, seed: str, rate: str) -> None:
    kafka = KafkaSettings(bootstrap, {"message.timeout.ms": _PATIENCE_MS})
    settings = Settings(Path(), kafka, HttpSettings(registry), HttpSettings(""))
    publisher = EventPublisher(settings, client_id="keytrail-faults")
    stream = Simulation(int(events), int(seed)).events()
    allowance, sent, told = Allowance(), 0, 0.0
    piece = max(1, int(float(rate) * _SLICE_S))
    due = time.monotonic()
    while (upto := allowance.upto) is not None:
        if sent < upto:
            sent += publisher.publish_all(islice(stream, min(piece, upto - sent)))
        now = time.monotonic()
        if now - told > 0.5:
            told = now
            _say(f"sent {sent}")
        due = max(due + _SLICE_S, now - 1.0)  # short of time for a while: caught up on, within a second
        time.sleep(max(0.0, due - now))
    publisher.close(_FLUSH_S)
    _say(f"done {sent}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
