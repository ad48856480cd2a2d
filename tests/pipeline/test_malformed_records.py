"""Thousands of malformed records among good ones: the good arrive, the bad are dead letters, nothing stops.

After a fix they are replayed: exactly those that the fix has made good come, each once.
"""

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pytest
from confluent_kafka import KafkaError, Message, Producer
from corpus.mutations import mutants
from corpus.pieces import EVENT_SCHEMA, datum, text
from corpus.reading import load
from running import Pipeline

from keytrail.deploy.embedded.state import read_parts
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import ENRICHED, EVENTS, KEYS, Topic
from keytrail.stream.reading import EventReader, Readable
from keytrail.stream.source import Record

MUTANTS = 10_000
GOOD = 2_000
LATER = 300  # whose schema is registered only after they were set aside
COMMITTED = {"event": EVENTS, "key": KEYS, "enriched": ENRICHED}
Place = tuple[int, int]


@dataclass(frozen=True)
class Sent:
    """`reason` is that of the dead letter it must become; None: it must become a row."""

    value: bytes | None
    reason: str | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Sender:
    """Sends records as they are, and remembers where each came to lie."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._producer = Producer(
            pipeline.settings.kafka.client(message_max_bytes=8_000_000, partitioner="consistent_random")
        )
        self.dead: dict[Place, str] = {}

    def send(self, records: list[Sent]) -> None:
        for record in records:
            self._producer.produce(
                EVENTS.name,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=lambda error, message, sent=record: self._delivered(sent, error, message),
            )
            self._producer.poll(0)
        assert self._producer.flush(60) == 0

    def _delivered(self, sent: Sent, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        if sent.reason is not None:
            self.dead[message.partition() or 0, message.offset() or 0] = sent.reason


class Ids:
    """The ids of the corpus's schemas in the pipeline's registry: a hostile producer may register nearly all."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ids: dict[str, int] = {}

    def __call__(self, schema: str) -> int:
        """Raises `SchemaError` where the registry does not take it."""
        if schema not in self._ids:
            name = schema if schema in COMMITTED else ""
            topic = COMMITTED.get(name, Topic(f"hostile-{len(self._ids)}", ""))
            self._ids[schema] = self._registry.register(topic, avro.schema_text(name) if name else schema)
        return self._ids[schema]


def good(schema_id: int, more: bytes = b"") -> Iterator[tuple[str, bytes]]:
    """Event ids and values, without end."""
    dice = random.Random(schema_id)
    while True:
        event_id = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        yield event_id, wire.frame(schema_id) + datum(event_id=text(event_id.encode())) + more


def corpus(ids: Ids) -> Iterator[Sent]:
    for sample in (*load("malformed"), *load("odd")):
        try:
            value = sample.value(ids)
        except SchemaError:
            assert sample.refused, sample.name
        else:
            assert not sample.refused, sample.name
            yield Sent(value, sample.reason, sample.key, tuple(sample.headers))


def malformed_mutants(registry: Registry, schema_id: int) -> Iterator[Sent]:
    """Those that a reader of its own finds malformed; the others have become events by chance."""
    reader = EventReader(registry, lambda: time.time_ns() // 1000)
    for mutant in mutants(int(time.time()), schema_id):
        found = reader.read(Record(0, mutant.value))
        if not isinstance(found, Readable):
            yield Sent(mutant.value, found.reason, b"m")


def dead_letters(pipeline: Pipeline) -> dict[Place, str]:
    rows = pipeline.clickhouse.rows(
        "SELECT source_partition AS p, source_offset AS o, reason FROM dead_letters WHERE source_topic = {t:String}",
        params={"t": EVENTS.name},
    )
    found = {(int(str(row["p"])), int(str(row["o"]))): str(row["reason"]) for row in rows}
    assert len(found) == len(rows), "a record is set aside twice"
    return found


def event_ids(pipeline: Pipeline) -> set[str]:
    return {str(row["id"]) for row in pipeline.clickhouse.rows("SELECT toString(event_id) AS id FROM events")}


def wait_for(pipeline: Pipeline, rows: int, dead: int) -> None:
    def counts() -> tuple[int, int]:
        [row] = pipeline.clickhouse.rows("SELECT count() AS n FROM dead_letters")
        return pipeline.rows()[0], int(str(row["n"]))

    pipeline.wait_until(
        lambda: counts() >= (rows, dead) and counts()[1] >= dead, lambda: f"{counts()} of {(rows, dead)}"
    )


def replay(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, dict[str, int]]:
    capsys.readouterr()
    assert pipeline.command("deadletter", "replay", "--json", *flags) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row.pop("reason"): row for row in rows}


def test_good_records_among_malformed_ones_and_what_a_replay_brings(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(pipeline.settings.registry)
    ids = Ids(registry)
    sender = Sender(pipeline)
    event_schema = ids("event")

    known = list(corpus(ids))
    # The next id that the registry gives is this one's.
    later_schema = json.dumps({**EVENT_SCHEMA, "doc": "registered later"})
    odd_rows = sum(sent.reason is None for sent in known)
    sender.send(known)
    wait_for(pipeline, odd_rows, len(sender.dead))
    later = registry.register(Topic("probe", ""), json.dumps({**EVENT_SCHEMA, "doc": "a probe"})) + 1

    firsts = dict(islice(good(event_schema), GOOD))
    afterwards = dict(islice(good(later), LATER))
    batch = [
        *(Sent(value, None, b"g") for value in firsts.values()),
        *(Sent(value, "unknown_schema", b"l") for value in afterwards.values()),
        *islice(malformed_mutants(registry, event_schema), MUTANTS),
    ]
    random.Random(3).shuffle(batch)
    sender.send(batch)
    wait_for(pipeline, odd_rows + GOOD, len(sender.dead))
    assert dead_letters(pipeline) == sender.dead
    assert len(sender.dead) > MUTANTS
    assert event_ids(pipeline) >= firsts.keys()
    assert pipeline.rows() == (odd_rows + GOOD, odd_rows + GOOD)

    assert registry.register(Topic("later", ""), later_schema) == later
    unknown = Counter(sender.dead.values())["unknown_schema"]
    assert (
        replay(pipeline, capsys, "--reason", "unknown_schema", "--dry-run")["unknown_schema"]["sent"]
        == unknown
    )
    assert replay(pipeline, capsys, "--reason", "unknown_schema")["unknown_schema"]["sent"] == unknown
    wait_for(pipeline, odd_rows + GOOD + LATER, len(sender.dead) + unknown - LATER)
    assert event_ids(pipeline) >= afterwards.keys()
    assert pipeline.rows() == (odd_rows + GOOD + LATER, odd_rows + GOOD + LATER)

    assert {part.name: part.restarts for part in read_parts(pipeline.data_dir)} == {
        name: 0 for name in ("clickhouse", "kafka", "registry", "worker", "sink")
    }
