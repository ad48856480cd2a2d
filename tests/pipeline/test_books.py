"""The conservation check on a running pipeline: balanced after honest traffic, and where it was not."""

import json
import time
from dataclasses import dataclass, replace

import pytest
from confluent_kafka import Producer
from running import Pipeline
from waiting import wait_until
from world import event

from keytrail.producers.publisher import EventPublisher
from keytrail.schemas import avro, wire
from keytrail.schemas.ledger import EVENT_LEDGER, EventLedger, Tally, pack
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import DEFAULT_PARTITIONS, EVENTS, SUBJECT_STATE
from keytrail.sinks.runs import read_runs

SENT, SENT_TWICE, DEAD, BY_OTHERS = 3_000, 200, 40, 25
UNIQUE = SENT + BY_OTHERS

Answer = dict[str, object]


@dataclass(frozen=True)
class Stored:
    """Where a row came from, as the check writes it."""

    event_id: str
    partition: int
    place: str


def check(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[Answer]]:
    capsys.readouterr()
    code = pipeline.command("status", "--check", "--json")
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def of_stage(answers: list[Answer], stage: str) -> list[Answer]:
    return [answer for answer in answers if answer["stage"] == stage]


def total(answers: list[Answer], stage: str, name: str) -> int:
    counts = [{**answer, **answer["parts"]}[name] for answer in of_stage(answers, stage)]  # type: ignore[dict-item]
    return sum(map(int, counts))


def stored(pipeline: Pipeline, partition: int, order: str) -> Stored:
    [row] = pipeline.clickhouse.rows(
        "SELECT toString(event_id) AS id, kafka_offset FROM events WHERE source_partition = {p:Int32}"
        f" ORDER BY source_offset {order} LIMIT 1 OFFSET 3",
        params={"p": partition},
    )
    return Stored(str(row["id"]), partition, f"keytrail.enriched/{partition}/{row['kafka_offset']}")


def numbered(count: int) -> list[Event]:
    """Number 5 of them is missing, for a service that proves its completeness."""
    now = time.time_ns() // 1000
    events = [
        event(
            subject=f"subject-{n % 50}",
            action="grant",
            role=f"role-{n % 7}",
            occurred_at=now,
            recorded_at=now,
            producer_id="billing:1",
            sequence=n if n < 5 else n + 1,
        )
        for n in range(1, count + 1)
    ]
    return [replace(each, key_id="nobody-knows") if n % 10 == 0 else each for n, each in enumerate(events)]


def by_another_producer(pipeline: Pipeline, events: list[Event]) -> None:
    """Transactions leave marks among the records, and those that were given up leave records nobody reads."""
    text = avro.schema_text("event")
    frame = wire.frame(Registry(pipeline.settings.registry).register(EVENTS, text))
    encode = avro.encoder(avro.parse(text))
    producer = Producer(pipeline.settings.kafka.client(transactional_id="another"))
    producer.init_transactions(60)
    for number, each in enumerate(events):
        value = frame + encode(each)
        producer.begin_transaction()
        producer.produce(EVENTS.name, value, b"given up", partition=number % DEFAULT_PARTITIONS)
        producer.flush(60)
        producer.abort_transaction(60)
        producer.begin_transaction()
        producer.produce(EVENTS.name, value, b"kept", partition=number % DEFAULT_PARTITIONS)
        producer.commit_transaction(60)


def test_the_books_balance_after_duplicates_dead_letters_and_transactions(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answers = check(pipeline, capsys)
    assert (code, total(answers, "worker", "found")) == (0, 0), "an empty pipeline balances"
    publisher = EventPublisher(pipeline.settings)
    events = numbered(SENT)
    publisher.publish_all(events)
    publisher.publish_all(events[:SENT_TWICE])
    publisher.close(60)
    producer = Producer(pipeline.settings.kafka.client())
    for number in range(DEAD):
        producer.produce(EVENTS.name, b"not avro", f"mallory-{number}".encode())
    producer.flush(60)
    by_another_producer(pipeline, [event() for _ in range(BY_OTHERS)])

    # From the first moment on: what is under way is lag and no error.
    seen: list[Answer] = []

    def has_arrived() -> bool:
        code, answers = check(pipeline, capsys)
        assert code == 0, answers
        seen[:] = answers
        return total(answers, "events", "found") == UNIQUE and total(answers, "dead_letters", "found") == DEAD

    wait_until(has_arrived, lambda: str(seen))
    assert total(seen, "worker", "expected") == UNIQUE + SENT_TWICE + DEAD
    assert total(seen, "worker", "duplicates") == SENT_TWICE
    assert total(seen, "worker", "dead_letters") == DEAD
    assert total(seen, "worker", "gaps") > 0, "marks of transactions, and records that were given up"
    wait_until(
        lambda: {each["state"] for each in of_stage(check(pipeline, capsys)[1], "anomalies")} == {"ok"},
        lambda: "anomalies behind",
    )
    [anomalies] = of_stage(check(pipeline, capsys)[1], "anomalies")
    assert anomalies["found"] == pipeline.clickhouse.rows("SELECT count() AS n FROM anomalies")[0]["n"] != 0


def test_the_check_speaks_to_people_and_to_prometheus(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipeline.command("status", "--check") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:3] == ["STAGE", "PARTITION", "EXPECTED"]
    assert pipeline.command("status", "--check", "--prometheus") == 0
    metrics = capsys.readouterr().out.splitlines()
    assert "keytrail_books_balanced 1" in metrics
    assert sum(line.startswith('keytrail_books_found_records{stage="events"') for line in metrics) == 4


@pytest.mark.parametrize(
    "flags", [("--prometheus",), ("--since", "1h"), ("--check", "--prometheus", "--json")]
)
def test_flags_that_mean_nothing_are_refused(pipeline: Pipeline, flags: tuple[str, ...]) -> None:
    assert pipeline.command("status", *flags) == 2


def test_a_producer_sees_the_hole_in_its_numbers(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    def of_billing(hours: list[Answer]) -> tuple[int, ...]:
        names = ("emitted", "stored", "missing", "awaited", "doubled")
        some = [hour for hour in hours if hour["producer_id"] == "billing:1"]
        return tuple(sum(int(str(hour[name])) for hour in some) for name in names)

    capsys.readouterr()
    assert pipeline.command("status", "--producers", "--since", "1h", "--json") in (0, 1)
    hours = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    emitted, kept, missing, awaited, doubled = of_billing(hours)
    assert (emitted, kept, missing + awaited, doubled) == (SENT + 1, SENT, 1, 0)

    hours = [vars(hour) | {"emitted": hour.emitted} for hour in read_runs(pipeline.clickhouse, settle_s=0)]
    assert of_billing(hours) == (SENT + 1, SENT, 1, 0, 0)
    assert [hole for hour in hours for hole in hour["holes"]] == [(5, 5)]


def test_a_deleted_row_is_lost_and_a_repeated_row_is_double(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pipeline.clickhouse.run
    lost, last, twice = stored(pipeline, 0, ""), stored(pipeline, 1, "DESC"), stored(pipeline, 0, "DESC")
    [letter] = pipeline.clickhouse.rows(
        "SELECT source_partition AS partition, kafka_partition, kafka_offset FROM dead_letters LIMIT 1"
    )
    [finding] = pipeline.clickhouse.rows("SELECT kafka_partition, kafka_offset FROM anomalies LIMIT 1")
    for gone in (lost, last):
        run(f"ALTER TABLE events DELETE WHERE event_id = '{gone.event_id}' SETTINGS mutations_sync = 2")
    run(f"INSERT INTO events SELECT * FROM events WHERE event_id = '{twice.event_id}'")
    for table, row in (("dead_letters", letter), ("anomalies", finding)):
        run(
            f"ALTER TABLE {table} DELETE WHERE kafka_partition = {row['kafka_partition']}"
            f" AND kafka_offset = {row['kafka_offset']} SETTINGS mutations_sync = 2"
        )

    code, answers = check(pipeline, capsys)
    events = {answer["partition"]: answer for answer in of_stage(answers, "events")}
    assert code == 1
    assert (events[0]["state"], events[0]["lost_at"], events[0]["doubled_at"]) == (
        "LOST DOUBLE",
        [lost.place],
        [twice.place],
    ), "although the number of rows is right"
    assert (events[1]["state"], events[1]["lost_at"]) == ("LOST", [last.place])
    assert {events[number]["state"] for number in (2, 3)} == {"ok"}
    [unlettered] = [each for each in of_stage(answers, "dead_letters") if each["state"] != "ok"]
    place = f"keytrail.deadletter/{letter['kafka_partition']}/{letter['kafka_offset']}"
    assert (unlettered["partition"], unlettered["lost_at"]) == (letter["partition"], [place])
    [anomalies] = of_stage(answers, "anomalies")
    place = f"keytrail.anomalies/{finding['kafka_partition']}/{finding['kafka_offset']}"
    assert (anomalies["state"], anomalies["lost"], anomalies["lost_at"]) == ("LOST", 1, [place])
    assert all(answer["state"] in ("ok", "lag") for answer in of_stage(answers, "worker"))

    assert pipeline.command("status", "--check") == 1
    assert lost.place in capsys.readouterr().out


def test_a_record_that_the_worker_passed_over_is_lost(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if someone had moved the worker's offset past the first record of a partition."""
    ledger = EventLedger(1, 0, 4, records=3, enriched=Tally(3), gaps=((0, 1),))
    producer = Producer(pipeline.settings.kafka.client())
    producer.produce(SUBJECT_STATE.name, pack(ledger), EVENT_LEDGER, partition=3)
    producer.flush(60)
    code, answers = check(pipeline, capsys)
    [worker] = [each for each in of_stage(answers, "worker") if each["partition"] == 3]
    assert (code, worker["lost"], worker["lost_at"]) == (1, 1, ["keytrail.events/3/0"])
