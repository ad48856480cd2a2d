"""W1 on keytrail's own parts: its transport, tasks, transactions, columns and state, with W1's rules.

    python -m benchmarks.w1.keytrail_engine SOURCE SINK STATE COUNT --data-dir DIR

Exactly once: enriched events, each subject's roles and the source offset are one transaction a batch.
"""

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from faust.types import TP

from benchmarks.w1 import workload
from benchmarks.w1.report import Report
from keytrail.schemas import avro, strict
from keytrail.schemas.columns import Columns, Rows
from keytrail.schemas.settings import Settings, load_settings
from keytrail.schemas.topics import Topic
from keytrail.stream.policies.policy import Policy
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.stages.store import StateStore
from keytrail.stream.worker.at_hand import Slot
from keytrail.stream.worker.partition_task import PartitionTask, TaskContext
from keytrail.stream.worker.transaction import Message, Outgoing
from keytrail.stream.worker.worker import Worker, WorkerOptions

_HEADER = len(workload.HEADER)
_GRANT, _REVOKE = workload.ACTIONS.index("GRANT"), workload.ACTIONS.index("REVOKE")


class W1Stage:
    """Batches of one partition: enriched values, and the roles of each subject."""

    def __init__(self, counts: Counter[str]) -> None:
        reader = strict.column_reader(avro.parse(json.dumps(workload.EVENT)))
        assert reader is not None
        self._reader = reader
        self._encode = avro.mapping_encoder(avro.parse(json.dumps(workload.ADDED)))
        self._keys = workload.keys()
        self._tails: dict[tuple[str, bool, bool], tuple[bytes, list[str]]] = {}
        self._counts = counts
        self.roles: StateStore[set[str]] = StateStore("roles", _pack, _unpack)

    def process(self, records: Sequence[SourceRecord]) -> list[Message]:
        values = [record.value or b"" for record in records]
        datums = [value[_HEADER:] for value in values]
        ends = np.cumsum([len(datum) for datum in datums])
        columns = self._reader.read(b"".join(datums), np.concatenate(([0], ends[:-1])), ends)
        if not columns.sure.all():
            raise ValueError("W1's events are all plain")
        text = columns.data.decode("latin-1")
        tails: list[tuple[bytes, list[str]] | None] = [None] * len(records)
        key_ids = _texts(text, columns, "key_id")
        actions = columns.numbers["action"]
        # Only grants and revokes change what is known of a subject.
        changing = np.flatnonzero((actions == _GRANT) | (actions == _REVOKE))
        subjects, roles = _texts(text, columns, "subject", changing), _texts(text, columns, "role", changing)
        is_grant = (actions[changing] == _GRANT).tolist()
        for row, subject, role, grants in zip(changing.tolist(), subjects, roles, is_grant, strict=True):
            tails[row] = self._change(key_ids[row], subject, role, grants)
        messages: list[Message] = []
        for record, value, key_id, changed in zip(records, values, key_ids, tails, strict=True):
            tail, found = changed or self._tail(key_id, False, False)
            messages.append({"key": record.key or b"", "value": value + tail})
            for anomaly in found:
                self._counts[anomaly] += 1
        return messages

    def _change(self, key_id: str, subject: str, role: str, grants: bool) -> tuple[bytes, list[str]]:
        held = self.roles.get(subject)
        if not grants:
            if held is not None and role in held:
                held.discard(role)
                self.roles.put(subject, held)
            return self._tail(key_id, False, False)
        if held is None:
            held = set()
        if role not in held:
            held.add(role)
            self.roles.put(subject, held)
        key = self._keys.get(key_id)
        out_of_scope = key is not None and role not in key.scopes
        return self._tail(key_id, out_of_scope, len(held) > workload.SPRAWL_ROLES)

    def _tail(self, key_id: str, out_of_scope: bool, sprawls: bool) -> tuple[bytes, list[str]]:
        name = (key_id, out_of_scope, sprawls)
        tail = self._tails.get(name)
        if tail is None:
            key = self._keys.get(key_id)
            found = [
                *([workload.UNKNOWN] if key is None else []),
                *([workload.EXPIRED] if key is not None and key.status == "expired" else []),
                *([workload.OUT_OF_SCOPE] if out_of_scope else []),
                *([workload.SPRAWL] if sprawls else []),
            ]
            added = {
                "owner": key and key.owner,
                "kind": key and key.kind,
                "status": key and key.status,
                "anomalies": found,
            }
            tail = self._tails[name] = (self._encode(added), found)
        return tail


def _texts(text: str, columns: Columns, name: str, rows: Rows = slice(None)) -> list[str]:
    starts, ends = columns.starts[name][rows].tolist(), columns.ends[name][rows].tolist()
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _pack(roles: set[str]) -> bytes:
    return "\n".join(roles).encode()


def _unpack(packed: bytes) -> set[str]:
    return set(packed.decode().split("\n"))


class W1Task(PartitionTask):
    def __init__(
        self, context: TaskContext, partition: int, engine: "W1Worker", source: Topic, state: Topic
    ) -> None:
        self._engine = engine
        self._stage = W1Stage(engine.counts)
        super().__init__(context, source, partition, state, Slot())

    async def settle(self) -> None:
        """Nothing waits."""

    def _restore(self, key: bytes, value: bytes | None) -> None:
        self._stage.roles.restore(key, value)

    async def _process(self, records: Sequence[SourceRecord]) -> list[Outgoing]:
        self._engine.report.begin()
        messages = self._stage.process(records)
        changes = self._stage.roles.take_changes()
        return [
            Outgoing(self._engine.sink, messages, self.partition),
            self._outbox.changes(self._changelog, self.partition, changes),
        ]


class W1Worker(Worker):
    """The product's worker, with W1's tasks on W1's topic."""

    def __init__(self, settings: Settings, source: str, sink: str, state: str) -> None:
        self._source, self.sink = Topic(source, "subject"), sink
        self._state = Topic(state, "subject")
        self.topics, self.group = (self._source,), sink
        self.counts: Counter[str] = Counter()
        self.report = Report("keytrail")
        super().__init__(settings, Policy(), WorkerOptions(settings.data_dir))

    def _task(self, tp: TP) -> PartitionTask:
        return W1Task(self._context, tp.partition, self, self._source, self._state)


def main() -> None:
    source, sink, state, count, _, data_dir = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    settings = load_settings(data_dir=Path(data_dir))
    worker = W1Worker(settings, source, sink, state)
    threading.Thread(target=_watch, args=(settings, worker, source, int(count)), daemon=True).start()
    worker.run()


def _watch(settings: Settings, worker: W1Worker, source: str, count: int) -> None:
    """Reports, and ends the process, once every event's offset is committed."""
    consumer = Consumer(settings.kafka.client(group_id=worker.group, enable_auto_commit=False))
    places = [TopicPartition(source, number) for number in range(workload.PARTITIONS)]
    while sum(max(0, found.offset) for found in consumer.committed(places, 30)) < count:
        time.sleep(0.02)
    worker.report.end(count, worker.counts)


if __name__ == "__main__":
    main()
