"""W1's work as the Python peers do it: fastavro, one event at a time."""

import io
import os
from collections import Counter
from typing import Any

import fastavro

from benchmarks.w1 import workload
from benchmarks.w1.report import Report

KAFKA, SOURCE, SINK = (os.environ[name] for name in ("W1_KAFKA", "W1_SOURCE", "W1_SINK"))
EVENTS = int(os.environ["W1_EVENTS"])
PRODUCER: dict[str, Any] = {
    "compression.type": "lz4",
    "linger.ms": 20,
    "enable.idempotence": True,
    "queue.buffering.max.messages": 1_000_000,
}


class Enricher:
    """Called with an event's value, gives the enriched value."""

    def __init__(self, engine: str) -> None:
        self.report = Report(engine)
        self.events = 0
        self.counts: Counter[str] = Counter()
        self._keys = workload.keys()
        self._roles: dict[str, set[str]] = {}
        self._event = fastavro.parse_schema(workload.EVENT)
        self._enriched = fastavro.parse_schema(workload.ENRICHED)

    def __call__(self, value: bytes) -> bytes:
        self.report.begin()
        datum = io.BytesIO(value)
        datum.seek(len(workload.HEADER))
        event: Any = fastavro.schemaless_reader(datum, self._event, None)
        self._apply(event)
        out = io.BytesIO()
        out.write(workload.HEADER)
        fastavro.schemaless_writer(out, self._enriched, event)
        self.events += 1
        return out.getvalue()

    def end(self) -> None:
        """Once all is flushed, and committed where the engine commits: report, and end the process."""
        self.report.end(self.events, self.counts)

    def _apply(self, event: dict[str, Any]) -> None:
        found = []
        key, action, role = self._keys.get(event["key_id"]), event["action"], event["role"]
        if key is None:
            found.append(workload.UNKNOWN)
        else:
            if key.status == "expired":
                found.append(workload.EXPIRED)
            if action == "GRANT" and role not in key.scopes:
                found.append(workload.OUT_OF_SCOPE)
        if action == "GRANT":
            roles = self._roles.setdefault(event["subject"], set())
            roles.add(role)
            if len(roles) > workload.SPRAWL_ROLES:
                found.append(workload.SPRAWL)
        elif action == "REVOKE" and (held := self._roles.get(event["subject"])):
            held.discard(role)
        event["owner"], event["kind"], event["status"] = (
            (None, None, None) if key is None else (key.owner, key.kind, key.status)
        )
        event["anomalies"] = found
        self.counts.update(found)
