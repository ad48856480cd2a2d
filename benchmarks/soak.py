"""Memory over many events: one worker and one sink, ten million events of a hundred thousand subjects.

    python -m benchmarks.soak [--events 10000000] [--subjects 100000]

One event in ten grants or revokes a role, the others use one, a hundred a second by their own time.  The load
keeps a little ahead of the worker, so that neither part idles.  Every half million events it is noted what
each holds.  Flat means: the second half of the run needs no more than the first.
"""

import argparse
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import psutil
from confluent_kafka import Producer

from benchmarks.measure import keep
from benchmarks.stack import pid_of, running_stack
from keytrail.producers.datum import flat_encoder
from keytrail.producers.publisher import KeyPublisher
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Event, Key
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import EVENTS
from keytrail.schemas.varint import zigzag, zigzags
from keytrail.sinks.clickhouse.http import ClickHouse, whole

_STEP = 500_000
_CHUNK = 10_000
_AHEAD = 300_000
_ROLES = 12
_KEYS = 2_000
_BEGIN = 1_759_400_000_000_000
_APART = 10_000
_POLL_S = 0.5
_MIB = 1 << 20
_ID = "00000000-0000-7000-8000-{:012x}"


@dataclass(frozen=True)
class Held:
    """What each part holds, in MiB, when so many rows are stored."""

    rows: int
    worker: float
    sink: float


class Load(threading.Thread):
    """Keeps the topic `_AHEAD` events ahead of what is stored."""

    def __init__(self, settings: Settings, events: int, subjects: int) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._events = events
        self._subjects = subjects
        self.stored = 0

    def run(self) -> None:
        frame = wire.frame(Registry(self._settings.registry).register(EVENTS, avro.schema_text("event")))
        producer = Producer(
            self._settings.kafka.client(
                enable_idempotence=True,
                partitioner="murmur2_random",
                compression_type="lz4",
                linger_ms=20,
                queue_buffering_max_messages=_AHEAD,
            )
        )
        changes, uses = self._bodies(("grant", "revoke")), self._bodies(("use",))
        for start in range(0, self._events, _CHUNK):
            while start > self.stored + _AHEAD:
                time.sleep(_POLL_S)
            # The datum begins with its id and its two times: one body serves many events.
            numbers = range(start, start + _CHUNK)
            times = zigzags([_BEGIN + number * _APART for number in numbers])
            messages = [
                {"key": key, "value": frame + b"\x48" + _ID.format(number).encode() + at + at + body}
                for number, at in zip(numbers, times, strict=True)
                for bodies in (uses if number % 10 else changes,)
                for key, body in (bodies[number // 10 * 7_919 % self._subjects],)
            ]
            producer.produce_batch(EVENTS.name, messages)
            producer.flush(60)

    def _bodies(self, actions: Sequence[str]) -> list[tuple[bytes, bytes]]:
        """For each subject its name and an event without its id and its times."""
        rng = random.Random(3)
        encode = flat_encoder(avro.parse(avro.schema_text("event")))
        bodies = []
        times = 37 + 2 * len(zigzag(_BEGIN))
        use = Event(
            event_id=_ID.format(0),
            occurred_at=_BEGIN,
            recorded_at=_BEGIN,
            service="billing",
            environment="production",
            actor_id="deployer",
            actor_type="service",
            key_id="",
            key_alias=None,
            action="use",
            subject="",
            resource="invoices/2026",
            source_ip="10.1.2.3",
            reason="nightly run",
            ticket="OPS-42",
        )
        for number in range(self._subjects):
            role = rng.randrange(_ROLES)
            action = rng.choice(actions)
            event = replace(
                use,
                key_id=f"key-{number % _KEYS}",
                action=action,
                subject=f"user-{number}@example.com",
                role=f"role-{role}",
                permissions=[f"use-{role}"] if action == "grant" else [],
            )
            bodies.append((event.whose.encode(), encode(event)[times:]))
        return bodies


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=10_000_000)
    options.add_argument("--subjects", type=int, default=100_000)
    chosen = options.parse_args()
    with running_stack(workers=1, sinks=1) as settings:
        keys = KeyPublisher(settings)
        for number in range(_KEYS):
            key = Key(f"key-{number}", 1, "service", "deployer", "platform", "active", _BEGIN - 1)
            keys.publish(key, wait=True)
        keys.close(60)
        worker, sink = (psutil.Process(pid_of(settings, part)) for part in ("worker", "sink"))
        clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        load = Load(settings, chosen.events, chosen.subjects)
        began = time.monotonic()
        load.start()
        held: list[Held] = []
        while load.stored < chosen.events:
            if not (worker.is_running() and sink.is_running() and (load.is_alive() or load.stored)):
                said = "\n".join(log.read_text()[-2_000:] for log in settings.data_dir.rglob("worker*.log"))
                raise KeytrailError(f"A part has ended.\n{said}")
            load.stored = whole(clickhouse.rows("SELECT count() AS n FROM events")[0], "n")
            if load.stored >= (len(held) + 1) * _STEP:
                now = (part.memory_info().rss / _MIB for part in (worker, sink))
                held.append(Held(load.stored, *now))
                print(
                    f"{load.stored:,} rows: worker {held[-1].worker:.0f}, sink {held[-1].sink:.0f} MiB",
                    flush=True,
                )
            time.sleep(_POLL_S)
        rate = chosen.events / (time.monotonic() - began)
    half = len(held) // 2
    lines = ["| part | MiB, first half | second half |", "|---|---|---|"]
    for part in ("worker", "sink"):
        sizes = [float(asdict(at)[part]) for at in held]
        lines.append(f"| {part} | {max(sizes[:half]):.0f} | {max(sizes[half:]):.0f} |")
    lines.append(
        f"\n{chosen.events:,} events of {chosen.subjects:,} subjects, {rate:,.0f} a second end to end"
    )
    keep("soak", {"held": [asdict(at) for at in held], "per_s": rate}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
