"""Publishing to a real Kafka with a real registry (the `settings` fixture)."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient
from topic_reading import read_events

from keytrail.producers import AuditTrail, DeliveryError, EventPublisher
from keytrail.producers.fitting import TRUNCATED
from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import UnavailableError, UsageError
from keytrail.schemas.records import Event, Micros
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

new_id = UuidV7()
NOBODY_LISTENS = "127.0.0.1:1"


def event(run: str, subject: str | None = "bob", sequence: int = 1) -> Event:
    return Event(
        event_id=new_id(),
        occurred_at=Micros(1),
        recorded_at=Micros(2),
        service="test",
        environment=None,
        actor_id="anna",
        actor_type="human",
        key_id=None,
        key_alias=None,
        action="grant",
        subject=subject,
        producer_id=run,
        sequence=sequence,
    )


def with_kafka(settings: Settings, bootstrap: str, **properties: str) -> Settings:
    dotted = {name.replace("_", "."): value for name, value in properties.items()}
    return dataclasses.replace(settings, kafka=KafkaSettings(bootstrap, dotted))


def test_events_arrive_as_they_were_keyed_by_whose_access_they_are_about(settings: Settings) -> None:
    run = new_id()
    sent = [event(run, "bob"), event(run, None), event(run, "Zoë")]
    publisher = EventPublisher(settings)
    for one in sent:
        assert publisher.publish(one)
    assert publisher.flush(60) == 0

    found = read_events(settings, run, len(sent))

    assert sorted((e for _, e in found), key=lambda e: e.event_id) == sent
    assert {e.event_id: m.key() for m, e in found} == {e.event_id: e.whose.encode() for e in sent}


def test_events_of_one_subject_stay_in_order_in_one_partition(settings: Settings) -> None:
    run = new_id()
    publisher = EventPublisher(settings)
    sent = publisher.publish_all(event(run, f"subject-{n % 7}", n) for n in range(5_000))
    publisher.close(60)

    found = read_events(settings, run, 5_000)

    assert sent == 5_000
    by_subject: dict[str, list[tuple[int | None, int]]] = {}
    for message, one in found:
        by_subject.setdefault(one.whose, []).append((message.partition(), one.sequence))
    for places in by_subject.values():
        assert len({partition for partition, _ in places}) == 1
        assert [sequence for _, sequence in places] == sorted(sequence for _, sequence in places)


# Hashes of Kafka's own test of its Java partitioner: services in Java must meet us in one partition.
@pytest.mark.parametrize(
    ("subject", "murmur2"), [("21", -973932308), ("foobar", -790332482), ("abc", 479470107)]
)
def test_a_subject_has_the_partition_that_javas_client_gives_it(
    settings: Settings, subject: str, murmur2: int
) -> None:
    topic = AdminClient(settings.kafka.client()).list_topics("keytrail.events", 60).topics["keytrail.events"]
    run = new_id()
    publisher = EventPublisher(settings)
    publisher.publish(event(run, subject))
    publisher.close(60)

    [(message, _)] = read_events(settings, run, 1)

    assert message.partition() == (murmur2 & 0x7FFFFFFF) % len(topic.partitions)


def test_an_event_beyond_kafkas_limit_arrives_shortened(settings: Settings) -> None:
    run = new_id()
    publisher = EventPublisher(settings)
    publisher.publish(dataclasses.replace(event(run), after="x" * 5_000_000))
    publisher.close(60)

    [(_, arrived)] = read_events(settings, run, 1)

    assert arrived.attributes[TRUNCATED] == "after"


def test_what_kafka_does_not_take_is_told_with_its_count_and_reason(settings: Settings) -> None:
    publisher = EventPublisher(with_kafka(settings, NOBODY_LISTENS, message_timeout_ms="1000"))
    for _ in range(3):
        publisher.publish(event("nobody"))

    with pytest.raises(
        DeliveryError, match=r"3 records for keytrail\.events were not delivered: Message timed out"
    ):
        publisher.flush(60)
    assert publisher.flush(60) == 0


def test_closing_before_delivery_says_how_many_are_left(settings: Settings) -> None:
    publisher = EventPublisher(with_kafka(settings, NOBODY_LISTENS))
    publisher.publish(event("nobody"))
    with pytest.raises(UnavailableError, match=r"1 records for keytrail\.events"):
        publisher.close(0.5)


def full(settings: Settings, timeout_ms: str) -> EventPublisher:
    properties = {"queue_buffering_max_messages": "2", "message_timeout_ms": timeout_ms}
    publisher = EventPublisher(with_kafka(settings, NOBODY_LISTENS, **properties))
    assert publisher.publish(event("nobody"))
    assert publisher.publish(event("nobody"))
    return publisher


def test_a_full_queue_refuses_without_waiting(settings: Settings) -> None:
    assert not full(settings, "60000").publish(event("nobody"))


def test_waiting_on_a_full_queue_ends_when_its_records_are_lost(settings: Settings) -> None:
    publisher = full(settings, "1000")

    def forever() -> Iterator[Event]:
        while True:
            yield event("nobody")

    with pytest.raises(DeliveryError):
        publisher.publish_all(forever())


def test_a_registry_that_is_away_is_told_before_anything_is_queued(settings: Settings) -> None:
    away = dataclasses.replace(settings, registry=HttpSettings(f"http://{NOBODY_LISTENS}"))
    publisher = EventPublisher(away)
    with pytest.raises(UnavailableError, match="registry"):
        publisher.publish(event("nobody"))
    assert publisher.flush(60) == 0


def test_settings_that_are_not_kafkas_are_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"no\.such"):
        EventPublisher(with_kafka(settings, NOBODY_LISTENS, no_such="1"))


def test_a_trails_events_arrive_in_sequence(settings: Settings) -> None:
    with AuditTrail("billing", settings=settings) as trail:
        for _ in range(100):
            trail.grant("bob", "admin", key="key-1", actor="anna")

    found = read_events(settings, trail.producer_id, 100)

    assert [one.sequence for _, one in found] == list(range(1, 101))
    assert trail.lost == 0


def test_a_trail_that_nobody_closes_is_emptied_at_exit(settings: Settings) -> None:
    program = """
import sys
from pathlib import Path
from keytrail.producers import AuditTrail
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

url = HttpSettings(sys.argv[2])
trail = AuditTrail("billing", settings=Settings(Path("."), KafkaSettings(sys.argv[1]), url, url))
trail.login(key=None, actor="anna")
print(trail.producer_id)
"""
    command = [sys.executable, "-c", program, settings.kafka.bootstrap, settings.registry.url]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    [(_, arrived)] = read_events(settings, finished.stdout.strip(), 1)

    assert (arrived.action, arrived.actor_id) == ("login", "anna")
