"""A service to be killed: records events as its arguments say, tells how it fares, and waits.

python service_program.py BOOTSTRAP REGISTRY SPOOL EVENTS SPOOL_BYTES
"""

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
for number in range(int(events)):
    trail.grant(f"user-{number % 7}", "admin", key=None, actor="anna", reason=str(number), after="x" * 500)
    if number % 1000 == 0:
        while trail.stats().waiting > 2_000:
            time.sleep(0.01)
while trail.stats().waiting:
    time.sleep(0.01)
sys.stdout.write(json.dumps({"producer_id": trail.producer_id, **asdict(trail.stats())}) + "\n")
sys.stdout.flush()
time.sleep(600)
