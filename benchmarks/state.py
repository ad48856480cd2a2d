"""How the event stage's state grows: restoring it, reading and writing it, and what it holds in memory.

    python -m benchmarks.state [--subjects 1000 100000 1000000] [--roles 5 20] [--keys 1 200000]

Every subject holds as many roles, and each key is another service's.  Then come 100,000 events, each of which
grants or revokes a role of a subject drawn at random, with a key drawn at random: it is read and judged, and
its subject's state is packed for the changelog.  Without Kafka.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

import psutil

from benchmarks.measure import keep
from keytrail.producers.datum import flat_encoder
from keytrail.producers.ids import UuidV7
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event, Key, Occurrence
from keytrail.stream.access import access_form
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.access.membership import Membership, Sight
from keytrail.stream.access.role import Role
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.source import Record
from keytrail.stream.stages.event_stage import EventStage
from keytrail.stream.worker.at_hand import Slot
from keytrail.stream.worker.memory import calm_collector

EVENTS = 100_000
_BATCH = 5_000
_EVENT_ID = 1
_BEGIN = 1_700_000_000_000_000
_FUTURE = 4_000_000_000_000_000
_MIB = 1 << 20
_YEAR = 365 * 86_400_000_000
_DISTINCT = 1_000


@dataclass(frozen=True)
class Size:
    subjects: int
    roles: int
    keys: int


@dataclass(frozen=True)
class Growth:
    """`mib` is what the process holds more than before there was any state."""

    subjects: int
    roles: int
    keys: int
    restored_per_s: float
    events_per_s: float
    changed_bytes: float
    mib: float


class _Registry:
    def register(self, *_: object) -> int:
        return _EVENT_ID + 1

    def text_of(self, _schema_id: int) -> str:
        return avro.schema_text("event")


def measure(size: Size) -> Growth:
    """In this process, which should do nothing else."""
    calm_collector()
    records = list(_records(size))
    before = psutil.Process().memory_info().rss
    reader = EventReader(_Registry(), lambda: _FUTURE, Slot())  # type: ignore[arg-type]
    keys = KeyDirectory()
    for number in range(size.keys):
        keys.apply(key(number))
    stage = EventStage(0, reader, keys, Timeline(Policy()), lambda: _FUTURE, Slot())
    # Some states, each of other ids; every subject has a copy of its own, as each record of a changelog is.
    rng = random.Random(7)
    packed = [access_form.pack(holder(size.roles, rng)) for _ in range(_DISTINCT)]
    began = time.perf_counter()
    for number in range(size.subjects):
        value = bytes(bytearray(packed[number % _DISTINCT]))
        stage.restore(b"subject/" + subject(number).encode(), value)
    restored = time.perf_counter() - began
    began, changed, written = time.perf_counter(), 0, 0
    for start in range(0, EVENTS, _BATCH):
        stage.process(stage.read(records[start : start + _BATCH]))
        changes = stage.take_changes()
        changed += len(changes)
        written += sum(len(change.value or b"") for change in changes)
    took = time.perf_counter() - began
    held = (psutil.Process().memory_info().rss - before) / _MIB
    return Growth(
        *(size.subjects, size.roles, size.keys),
        restored_per_s=size.subjects / restored,
        events_per_s=EVENTS / took,
        changed_bytes=written / max(changed, 1),
        mib=held,
    )


def holder(count: int, rng: random.Random) -> SubjectAccess:
    """Whose roles were granted at any time of a year, by anybody."""
    roles = {
        f"role-{number}": Role(
            held=True,
            changed=Occurrence(_BEGIN - rng.randrange(_YEAR), str(UUID(int=rng.getrandbits(128)))),
            permissions=(f"use-{number}",),
        )
        for number in range(count)
    }
    return SubjectAccess(
        roles,
        Membership({"payments": Sight(19_000, _BEGIN, 19_000)}),
        19_000,
        reported_team="payments",
        reported_roles=count,
    )


def key(number: int) -> Key:
    return Key(f"key-{number}", 1, "service", f"service-{number}", "platform", "active", _BEGIN - 1)


def _records(size: Size) -> Iterator[Record]:
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    for number, (_, event) in enumerate(changes(size)):
        yield Record(number, wire.frame(_EVENT_ID) + encode(event))


def changes(size: Size) -> Iterator[tuple[int, Event]]:
    """Grants and revokes, a second apart, of any role of any subject with any key; each with the subject's
    number."""
    rng, new_id = random.Random(5), UuidV7()
    for number in range(EVENTS):
        role, whose = rng.randrange(2 * size.roles), rng.randrange(size.subjects)
        at = _BEGIN + 1_000_000 * number
        event = Event(
            event_id=new_id(),
            occurred_at=at,
            recorded_at=at,
            service="iam",
            environment="production",
            actor_id="anna",
            actor_type="service",
            key_id=f"key-{rng.randrange(size.keys)}",
            key_alias=None,
            action=rng.choice(("grant", "revoke")),
            subject=subject(whose),
            role=f"role-{role}",
            permissions=[f"use-{role}"],
            reason="joined",
            ticket="OPS-1",
        )
        yield whose, event


def subject(number: int) -> str:
    return f"user-{number}@example.com"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--subjects", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    options.add_argument("--roles", type=int, nargs="+", default=[5, 20])
    options.add_argument("--keys", type=int, nargs="+", default=[1, 200_000])
    chosen = options.parse_args()
    sizes = [
        Size(subjects, roles, keys)
        for roles, keys in zip(chosen.roles, chosen.keys, strict=True)
        for subjects in chosen.subjects
    ]
    if len(sizes) == 1:
        print(json.dumps(asdict(measure(sizes[0]))))
        return
    lines = [
        "| subjects | roles each | keys | restored/s | events/s | bytes a change | MiB more |",
        "|---|---|---|---|---|---|---|",
    ]
    found = []
    for size in sizes:
        wanted = ("--subjects", size.subjects, "--roles", size.roles, "--keys", size.keys)
        command = (sys.executable, "-m", "benchmarks.state", *map(str, wanted))
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        growth = Growth(**json.loads(said))
        found.append(growth)
        lines.append(
            f"| {growth.subjects:,} | {growth.roles} | {growth.keys:,} | {growth.restored_per_s:,.0f}"
            f" | {growth.events_per_s:,.0f} | {growth.changed_bytes:,.0f} | {growth.mib:,.0f} |"
        )
    keep("state", {"growth": [asdict(growth) for growth in found]}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
