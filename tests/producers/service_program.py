"""A service to be killed: records events as its arguments say, tells how it fares, and waits.

    python service_program.py BOOTSTRAP REGISTRY SPOOL EVENTS SPOOL_BYTES

Where EVENTS is 0 it tells after 5,000, without waiting for them, and goes on until it is killed.
"""

import itertools
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from keytrail.producers import AuditTrail
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

bootstrap, registry, spool, events, spool_bytes = sys.argv[1:]
url = HttpSettings(registry)
trail = AuditTrail(
    "billing",
    settings=Settings(Path(), KafkaSettings(bootstrap), url, url),
    spool=Path(spool),
    spool_bytes=int(spool_bytes),
)


def record(number: int) -> None:
    trail.grant(f"user-{number % 7}", "admin", key=None, actor="anna", reason=str(number), after="x" * 500)


def tell() -> None:
    sys.stdout.write(json.dumps({"producer_id": trail.producer_id, **asdict(trail.stats())}) + "\n")
    sys.stdout.flush()


for number in range(int(events)) if int(events) else itertools.count(1):
    record(number)
    if number % 1000 == 0:
        while trail.stats().waiting > 2_000:
            time.sleep(0.01)
    if number == 5_000 and not int(events):
        tell()
while trail.stats().waiting:
    time.sleep(0.01)
tell()
time.sleep(600)
