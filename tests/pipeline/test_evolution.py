"""Producers with schemas of three versions at once: one table, nothing rewritten, nothing lost.

The steps are those of docs/evolution.md, whose commands and schema are read from the page.
"""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from confluent_kafka import Producer
from corpus.pieces import EVENT_SCHEMA
from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.producers.clock import system_clock
from keytrail.schemas import avro, strict, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.signature import SIGNATURE_HEADER, SigningKey, fingerprint
from keytrail.schemas.topics import ENRICHED, EVENTS
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.spans import Span, SpanReader

PAGE = (Path(__file__).parents[2] / "docs" / "evolution.md").read_text()
[FIELD] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
[COLUMN] = re.findall(r'^    keytrail sql "(ALTER .*)"$', PAGE, re.MULTILINE)
EACH = 400  # events of each producer
WHY = ("--reason", "test", "--actor", "anna")

_V1 = EVENT_SCHEMA["fields"]
# A field more; two with defaults less.
_V2 = [f for f in _V1 if f["name"] not in {"actor_type", "user_agent"}] + [json.loads(FIELD)]
# One more, for which there is no column, in the middle; `outcome` less.
_UNSTORED = {"name": "device", "type": ["null", "string"], "default": None}
_V3 = [_V2[0], _UNSTORED, *(f for f in _V2[1:] if f["name"] != "outcome")]
VERSIONS: Mapping[str, str] = {
    "v1": avro.schema_text("event"),
    "v2": json.dumps({**EVENT_SCHEMA, "fields": _V2}),
    "v3": json.dumps({**EVENT_SCHEMA, "fields": _V3}),
}


def produce(pipeline: Pipeline, version: str, events: list[Event], key: SigningKey) -> None:
    """As a service with a schema of its own does, in whatever language: docs/topic-contract.md."""
    text = VERSIONS[version]
    frame = wire.frame(Registry(pipeline.settings.registry).register(EVENTS, text))
    encode = avro.mapping_encoder(avro.parse(text))
    producer = Producer(pipeline.settings.kafka.client(partitioner="murmur2_random"))
    for each in events:
        datum = encode({**avro.as_mapping(each), "cost_center": "cc-7", "device": "laptop-3"})
        signature = [(SIGNATURE_HEADER, key.sign(fingerprint(text), datum))]
        producer.produce(EVENTS.name, frame + datum, (each.subject or "").encode(), headers=signature)
        producer.poll(0)
    assert producer.flush(60) == 0


def made(version: str, key: SigningKey, count: int = EACH) -> list[Event]:
    now = system_clock()
    return [
        event(
            service=f"of-{version}",
            key_id=key.key_id,
            # An action that no version of keytrail knows: the set is open.
            action="elevate" if version == "v3" else "use",
            actor_type="human",
            outcome="denied",
            user_agent="curl",
            subject=f"subject-{number % 17}",
            occurred_at=now,
            recorded_at=now,
            reason="test",
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    data = tmp_path_factory.mktemp("pipeline") / "data"
    with running_stack(data, workers=1, sinks=1, notary=True) as settings:
        yield Pipeline(settings)


@pytest.fixture(scope="module")
def key(pipeline: Pipeline) -> SigningKey:
    said = StringIO()
    with redirect_stdout(said):
        assert pipeline.command("keys", "issue", "--owner", "sam", "--kind", "service", "--secret", *WHY) == 0
    return SigningKey.of_token(said.getvalue().split()[-1])


def test_three_versions_at_once_become_rows_of_one_table(pipeline: Pipeline, key: SigningKey) -> None:
    before = [made(version, key) for version in VERSIONS]
    with ThreadPoolExecutor() as pool:
        list(pool.map(produce, [pipeline] * 3, VERSIONS, before, [key] * 3))
    wait_until(lambda: stored(pipeline) == dict.fromkeys(VERSIONS, EACH), lambda: str(stored(pipeline)))

    # The table gets a column while events flow: no sink is started anew, and nothing is rewritten.
    rewritings = pipeline.clickhouse.rows("SELECT mutation_id FROM system.mutations ORDER BY ALL")
    assert pipeline.command("sql", COLUMN) == 0

    def sees_the_column() -> bool:
        produce(pipeline, "v2", made("late", key, 1), key)
        return pipeline.clickhouse.rows("SELECT 1 AS it FROM events WHERE cost_center = 'cc-7'") != []

    wait_until(sees_the_column, "a row has what the new field says")
    with ThreadPoolExecutor() as pool:
        list(pool.map(produce, [pipeline] * 3, VERSIONS, [made(v, key) for v in VERSIONS], [key] * 3))
    wait_until(lambda: stored(pipeline) == dict.fromkeys(VERSIONS, 2 * EACH), lambda: str(stored(pipeline)))
    assert pipeline.clickhouse.rows("SELECT mutation_id FROM system.mutations ORDER BY ALL") == rewritings

    found = pipeline.clickhouse.rows(
        "SELECT service, action, actor_type, outcome, user_agent, signature, cost_center, count() AS rows "
        "FROM events WHERE startsWith(service, 'of-v') GROUP BY ALL ORDER BY ALL"
    )
    assert [tuple(row.values())[:-1] for row in found] == [
        ("of-v1", "use", "human", "denied", "curl", "verified", ""),
        # What the schema has not is the event schema's default, not ''.
        ("of-v2", "use", "service", "denied", "", "verified", ""),
        ("of-v2", "use", "service", "denied", "", "verified", "cc-7"),
        ("of-v3", "elevate", "service", "success", "", "verified", ""),
        ("of-v3", "elevate", "service", "success", "", "verified", "cc-7"),
    ]
    assert [int(str(row["rows"])) for row in found] == [2 * EACH, EACH, EACH, EACH, EACH]


def test_what_has_no_column_is_in_the_topic(pipeline: Pipeline, key: SigningKey) -> None:
    registry = Registry(pipeline.settings.registry)
    devices = set()
    for value in enriched_values(pipeline):
        schema = json.loads(registry.text_of(wire.schema_id_of(value) or 0))
        if "device" in [field["name"] for field in schema["fields"]]:
            read = strict.datum_reader(avro.parse(json.dumps(schema)))
            devices.add(read(value, wire.HEADER_LENGTH)["device"])
    assert devices == {"laptop-3"}


def test_the_books_balance_and_the_proof_holds(pipeline: Pipeline) -> None:
    assert pipeline.command("status", "--check") == 0
    wait_until(lambda: pipeline.clickhouse.rows("SELECT 1 AS it FROM checkpoints LIMIT 1"), "it is signed")
    assert pipeline.command("verify") == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([*_V1, {"name": "why", "type": "string"}], "`why` is not in version 1 and has no default"),
        ([f for f in _V1 if f["name"] != "service"], "`service` of version 1 has no default there"),
        (
            [{**f, "type": "long", "default": 0} if f["name"] == "outcome" else f for f in _V1],
            "`outcome` has another type than in version 1",
        ),
    ],
)
def test_the_registry_refuses_with_the_reason(pipeline: Pipeline, fields: list[object], reason: str) -> None:
    text = json.dumps({**EVENT_SCHEMA, "fields": fields})
    with pytest.raises(SchemaError, match=re.escape(reason)):
        Registry(pipeline.settings.registry).register(EVENTS, text)


def stored(pipeline: Pipeline) -> dict[str, int]:
    rows = pipeline.clickhouse.rows(
        "SELECT substring(service, 4) AS version, uniqExact(event_id) AS ids FROM events "
        "WHERE startsWith(service, 'of-v') GROUP BY version HAVING ids = count() ORDER BY version"
    )
    return {str(row["version"]): int(str(row["ids"])) for row in rows}


def enriched_values(pipeline: Pipeline) -> Iterator[bytes]:
    cluster = Cluster(pipeline.settings.kafka)
    places = [Place(ENRICHED.name, number) for number in range(4)]
    ends = cluster.ends(places)
    with closing(SpanReader(pipeline.settings.kafka)) as spans:
        for place in places:
            for _, record in spans.within(place, [Span(0, ends[place])]):
                yield record.value() or b""
