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
from waiting import wait_until

from keytrail.deploy.embedded.state import read_parts
from keytrail.producers.librdkafka import KAFKA_LOG
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import ENRICHED, EVENTS, KEYS, Topic
from keytrail.stream.reading.reading import EventReader, Readable
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot

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


@dataclass(frozen=True)
class Replayed:
    sent: int
    sent_before: int


class Sender:
    """Sends records as they are, and remembers where each came to lie."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._producer = Producer(
            pipeline.settings.kafka.client(message_max_bytes=8_000_000), logger=KAFKA_LOG
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
    """The ids of the corpus's schemas: a hostile producer may register nearly all of them."""

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
    reader = EventReader(registry, lambda: time.time_ns() // 1000, Slot())
    for mutant in mutants(int(time.time()), schema_id):
        found = reader.read(Record(0, mutant.value))
        if not isinstance(found, Readable):
            yield Sent(mutant.value, found.reason, b"m")


def dead_letters(pipeline: Pipeline) -> dict[Place, str]:
    rows = pipeline.clickhouse.rows(
        "SELECT source_partition AS p, source_offset AS o, reason FROM dead_letters"
        " WHERE source_topic = {t:String}",
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

    wait_until(
        lambda: all(found >= wanted for found, wanted in zip(counts(), (rows, dead), strict=True)),
        lambda: f"{counts()} of {(rows, dead)} rows and dead letters",
    )


def replay(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Replayed]:
    capsys.readouterr()
    assert pipeline.command("deadletter", "replay", "--json", *flags) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["reason"]: Replayed(row["sent"], row["sent_before"]) for row in rows}


def chains(pipeline: Pipeline) -> dict[Place, list[str]]:
    """Of each dead letter that was replayed: the places that it had before, the first first."""
    rows = pipeline.clickhouse.rows(
        "SELECT source_partition AS p, source_offset AS o,"
        " arrayMap(h -> h.value, arrayFilter(h -> h.name = 'keytrail-replay-of', headers)) AS chain"
        " FROM dead_letters WHERE notEmpty(chain) AND reason = 'unknown_schema'"
    )
    return {(int(str(row["p"])), int(str(row["o"]))): row["chain"] for row in rows}  # type: ignore[misc]


def test_good_records_among_malformed_ones_and_what_a_replay_brings(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(pipeline.settings.registry)
    ids = Ids(registry)
    sender = Sender(pipeline)
    event_schema = ids("event")

    known = list(corpus(ids))
    rows = sum(sent.reason is None for sent in known)
    sender.send(known)
    wait_for(pipeline, rows, len(sender.dead))

    # The next id that the registry gives is that of the schema which is registered too late.
    later_id = registry.register(Topic("probe", ""), json.dumps({**EVENT_SCHEMA, "doc": "a probe"})) + 1
    at_once = dict(islice(good(event_schema), GOOD))
    later = dict(islice(good(later_id), LATER))
    batch = [
        *(Sent(value, None, b"g") for value in at_once.values()),
        *(Sent(value, "unknown_schema", b"l") for value in later.values()),
        *islice(malformed_mutants(registry, event_schema), MUTANTS),
    ]
    random.Random(3).shuffle(batch)
    sender.send(batch)
    rows += GOOD
    wait_for(pipeline, rows, len(sender.dead))
    assert len(sender.dead) > MUTANTS
    assert dead_letters(pipeline) == sender.dead
    assert event_ids(pipeline) >= at_once.keys()
    assert pipeline.rows() == (rows, rows)

    assert registry.register(Topic("later", ""), json.dumps({**EVENT_SCHEMA, "doc": "later"})) == later_id
    unknown = {place for place, reason in sender.dead.items() if reason == "unknown_schema"}
    flags = ("--reason", "unknown_schema")
    assert replay(pipeline, capsys, *flags, "--dry-run") == {"unknown_schema": Replayed(len(unknown), 0)}
    assert replay(pipeline, capsys, *flags) == {"unknown_schema": Replayed(len(unknown), 0)}
    rows += LATER
    wait_for(pipeline, rows, len(sender.dead) + len(unknown) - LATER)
    assert event_ids(pipeline) >= later.keys()
    assert pipeline.rows() == (rows, rows)

    # Those that no fix has helped have died again, elsewhere; what was sent before is not sent again.
    again = chains(pipeline)
    assert len(again) == len(unknown) - LATER
    first = [place for chain in again.values() for place in chain[-1:]]
    assert len(set(first)) == len(first)
    assert set(first) <= {f"{EVENTS.name}/{partition}/{offset}" for partition, offset in unknown}
    assert replay(pipeline, capsys, *flags) == {"unknown_schema": Replayed(len(again), len(unknown))}
    assert replay(pipeline, capsys, "--place", first[0]) == {"unknown_schema": Replayed(0, 1)}
    wait_for(pipeline, rows, len(sender.dead) + 2 * len(again))
    assert Counter(len(chain) for chain in chains(pipeline).values()) == {1: len(again), 2: len(again)}
    assert pipeline.rows() == (rows, rows)

    assert pipeline.command("status", "--check") == 0
    assert sum(part.restarts for part in read_parts(pipeline.data_dir)) == 0
    log = (pipeline.data_dir / "logs" / "worker.log").read_text()
    assert "records could not be used, most for " in log
