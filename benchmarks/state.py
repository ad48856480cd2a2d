"""How the event stage's state grows: restoring it, reading and writing it, and what it holds in memory.

    python -m benchmarks.state [--subjects 1000 100000 1000000]

Every subject holds five roles.  Then come 100,000 events, each of which grants or revokes a role of a subject
drawn at random: it is read and judged, and its subject's state is packed for the changelog.  Without Kafka.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

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
ROLES = 5
_BATCH = 5_000
_EVENT_ID = 1
_BEGIN = 1_700_000_000_000_000
_FUTURE = 4_000_000_000_000_000
_MIB = 1 << 20
_KEY = Key("key-iam", 1, "service", "iam", "platform", "active", _BEGIN - 1)


@dataclass(frozen=True)
class Growth:
    subjects: int
    restored_per_s: float
    events_per_s: float
    changed_bytes: float
    mib: float


class _Registry:
    def register(self, *_: object) -> int:
        return _EVENT_ID + 1

    def text_of(self, _schema_id: int) -> str:
        return avro.schema_text("event")


def measure(subjects: int) -> Growth:
    """In this process, which should do nothing else."""
    calm_collector()
    records = list(_changes(subjects))
    before = psutil.Process().memory_info().rss
    reader = EventReader(_Registry(), lambda: _FUTURE, Slot())  # type: ignore[arg-type]
    keys = KeyDirectory()
    keys.apply(_KEY)
    stage = EventStage(0, reader, keys, Timeline(Policy()), lambda: _FUTURE, Slot())
    packed = access_form.pack(_holder())
    began = time.perf_counter()
    for number in range(subjects):
        # A copy of its own, as each record of a changelog is.
        stage.restore(b"subject/" + _name(number).encode(), bytes(bytearray(packed)))
    restored = time.perf_counter() - began
    began, changed, written = time.perf_counter(), 0, 0
    for start in range(0, EVENTS, _BATCH):
        stage.process(stage.read(records[start : start + _BATCH]))
        changes = stage.take_changes()
        changed += len(changes)
        written += sum(len(change.value or b"") for change in changes)
    took = time.perf_counter() - began
    held = (psutil.Process().memory_info().rss - before) / _MIB
    return Growth(subjects, subjects / restored, EVENTS / took, written / max(changed, 1), held)


def _holder() -> SubjectAccess:
    new_id = UuidV7()
    roles = {
        f"role-{number}": Role(
            held=True, changed=Occurrence(_BEGIN + number, new_id()), permissions=(f"use-{number}",)
        )
        for number in range(ROLES)
    }
    return SubjectAccess(
        roles,
        Membership({"payments": Sight(19_000, _BEGIN, 19_000)}),
        19_000,
        reported_team="payments",
        reported_roles=ROLES,
    )


def _changes(subjects: int) -> Iterator[Record]:
    rng, new_id = random.Random(5), UuidV7()
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    for number in range(EVENTS):
        role = rng.randrange(2 * ROLES)
        at = _BEGIN + 1_000_000 * number
        event = Event(
            event_id=new_id(),
            occurred_at=at,
            recorded_at=at,
            service="iam",
            environment="production",
            actor_id="anna",
            actor_type="service",
            key_id=_KEY.key_id,
            key_alias=None,
            action=rng.choice(("grant", "revoke")),
            subject=_name(rng.randrange(subjects)),
            role=f"role-{role}",
            permissions=[f"use-{role}"],
            reason="joined",
            ticket="OPS-1",
        )
        yield Record(number, wire.frame(_EVENT_ID) + encode(event))


def _name(number: int) -> str:
    return f"user-{number}@example.com"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--subjects", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    chosen = options.parse_args().subjects
    if len(chosen) == 1:
        print(json.dumps(asdict(measure(chosen[0]))))
        return
    lines = [
        "| subjects | restored/s | events/s | bytes a change | MiB more | bytes a subject |",
        "|---|---|---|---|---|---|",
    ]
    found = []
    for subjects in chosen:
        command = (sys.executable, "-m", "benchmarks.state", "--subjects", str(subjects))
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        growth = Growth(**json.loads(said))
        found.append(growth)
        each = growth.mib * _MIB / growth.subjects
        lines.append(
            f"| {growth.subjects:,} | {growth.restored_per_s:,.0f} | {growth.events_per_s:,.0f}"
            f" | {growth.changed_bytes:,.0f} | {growth.mib:,.0f} | {each:,.0f} |"
        )
    keep("state", {"growth": [asdict(growth) for growth in found]}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
