"""Batches that no reader can read: the partition stops there and says so; a choice takes it past them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from broken_log import Batch, Segment, crc32c
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from running import Pipeline, running_part
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.damage import damage_end
from keytrail.schemas.records import Event
from keytrail.schemas.topics import DEAD_LETTERS, ENRICHED, EVENTS, WORKER_GROUP
from keytrail.sinks.cluster import Cluster, Place
from keytrail.stream.worker.group_member import HEADERS_LOST

SUBJECT = "carol"


@pytest.fixture
def settings_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def send(pipeline: Pipeline, events: list[Event]) -> None:
    publisher = EventPublisher(pipeline.settings)
    assert publisher.publish_all(events) == len(events)
    publisher.close(60)


def on_one_partition(pipeline: Pipeline) -> tuple[str, int]:
    """A subject, and the partition of its events."""
    send(pipeline, [event(subject=SUBJECT)])
    [partition] = [partition for partition, end in ends(pipeline).items() if end]
    return SUBJECT, partition


def ends(pipeline: Pipeline) -> dict[int, int]:
    places = [Place(EVENTS.name, partition) for partition in range(4)]
    return {place.partition: end for place, end in Cluster(pipeline.settings.kafka).ends(places).items()}


def test_crc32c_is_the_one_of_the_rfc() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("damage", [Segment.damage_body, Segment.damage_codec], ids=["checksum", "codec"])
def test_a_damaged_batch_of_events_stops_its_partition_until_somebody_chooses(
    settings_dir: Path, damage: Callable[[Segment, Batch], None]
) -> None:
    with running_stack(settings_dir, workers=0, sinks=1) as settings:
        pipeline = Pipeline(settings)
        subject, partition = on_one_partition(pipeline)
        for _ in range(3):
            send(pipeline, [event(subject=subject, action="login") for _ in range(10)])
        send(pipeline, others := [event(subject=f"other-{n}") for n in range(40)])
        segment = Segment(settings_dir, EVENTS.name, partition)
        broken = segment.batch_with(11)
        assert broken.first > 0
        damage(segment, broken)
        assert damage_end(settings.kafka, EVENTS.name, partition, broken.first) == broken.end

        named = f"{EVENTS.name}/{partition}:{broken.first}"
        with running_part("worker", settings_dir) as worker:
            wait_until(lambda: f"--pass-over {named}" in worker.log.read_text(), worker.log.read_text)
            assert f"offsets {broken.first} to {broken.end - 1} cannot be read" in worker.log.read_text()
            elsewhere = sum(end for place, end in ends(pipeline).items() if place != partition)
            # What is before the damage, and all other partitions.
            pipeline.wait_for_rows(broken.first + elsewhere)
        assert committed(pipeline, WORKER_GROUP, EVENTS.name, partition) == broken.first

        with running_part("worker", settings_dir, "--pass-over", named):
            lost = broken.end - broken.first
            every = 31 + len(others)
            pipeline.wait_for_rows(every - lost)
            assert pipeline.rows() == (every - lost, every - lost)
            lost_offsets = list(range(broken.first, broken.end))
            wait_until(lambda: letters(pipeline) == lost_offsets, lambda: str(letters(pipeline)))
            assert pipeline.command("status", "--check") == 0


def test_a_damaged_batch_of_enriched_events_stops_the_sink_there_until_somebody_chooses(
    settings_dir: Path,
) -> None:
    with running_stack(settings_dir, workers=1, sinks=0) as settings:
        pipeline = Pipeline(settings)
        subject, partition = on_one_partition(pipeline)
        # One after the other, so that each is a batch: events at 0, 2, 4, ..., marks between them.
        for sent in range(1, 6):
            wait_until(lambda sent=sent: committed(pipeline, WORKER_GROUP, EVENTS.name, partition) == sent)
            send(pipeline, [event(subject=subject)] if sent < 5 else [])
        segment = Segment(settings_dir, ENRICHED.name, partition)
        broken = segment.batch_with(2)
        segment.damage_body(broken)
        named = f"{ENRICHED.name}/{partition}:{broken.first}"
        with running_part("sink", settings_dir) as sink:
            wait_until(lambda: f"--pass-over {named}" in sink.log.read_text(), sink.log.read_text)
            pipeline.wait_for_rows(1)
        with running_part("sink", settings_dir, "--pass-over", named):
            pipeline.wait_for_rows(4)
            assert pipeline.rows() == (4, 4)
            # The check knows that a row is missing.
            assert pipeline.command("status", "--check") == 1


@pytest.mark.parametrize("codec", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_batches_in_every_codec_are_read_by_worker_and_sink(pipeline: Pipeline, codec: str) -> None:
    # The broker writes what it takes anew, in the topic's codec.
    admin = AdminClient(pipeline.settings.kafka.client())
    for topic in (EVENTS, ENRICHED, DEAD_LETTERS):
        entry = ConfigEntry("compression.type", codec, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(30)
    before, letters_before = pipeline.rows()[0], len(letters(pipeline, "bad_magic"))
    send(pipeline, [event(subject=f"{codec}-{n}") for n in range(200)])
    send_raw(pipeline, [b"no event" * 20] * 20)
    pipeline.wait_for_rows(before + 200)
    wait_until(lambda: len(letters(pipeline, "bad_magic")) == letters_before + 20)
    assert pipeline.rows()[0] == before + 200


def test_a_header_name_that_is_no_text_harms_nothing(settings_dir: Path) -> None:
    with running_stack(settings_dir, workers=0, sinks=1) as settings:
        pipeline = Pipeline(settings)
        subject, partition = on_one_partition(pipeline)
        send_raw(pipeline, [b"no event"], partition, [("name-of-header", b"1"), ("other", None)])
        send(pipeline, [event(subject=subject)])
        segment = Segment(settings_dir, EVENTS.name, partition)
        segment.replace(segment.batch_with(1), b"name-of-header", b"name\xff\xfe--header")
        with running_part("worker", settings_dir):
            pipeline.wait_for_rows(2)
            wait_until(lambda: letters(pipeline, "bad_magic") == [1])
            [row] = pipeline.clickhouse.rows("SELECT value, headers.name AS names FROM dead_letters")
            assert row == {"value": "no event", "names": [HEADERS_LOST]}


def send_raw(
    pipeline: Pipeline,
    values: list[bytes],
    partition: int = 0,
    headers: list[tuple[str, bytes | None]] | None = None,
) -> None:
    producer = Producer(pipeline.settings.kafka.client())
    for value in values:
        producer.produce(EVENTS.name, value, partition=partition, headers=headers or [])
    assert producer.flush(30) == 0


def letters(pipeline: Pipeline, reason: str = "unreadable_batch") -> list[int]:
    rows = pipeline.clickhouse.rows(
        "SELECT source_offset AS o FROM dead_letters WHERE reason = {reason:String} ORDER BY o",
        params={"reason": reason},
    )
    return [int(str(row["o"])) for row in rows]


def committed(pipeline: Pipeline, group: str, topic: str, partition: int) -> int | None:
    place = Place(topic, partition)
    found = Cluster(pipeline.settings.kafka).committed(group, [place]).get(place)
    return found.offset if found else None
