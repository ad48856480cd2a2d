"""What goes wrong around a service, on a real Kafka: emitted = delivered + told losses, each once by id."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from scratch_stack import running_stack
from small_disk import small_disk
from waiting import wait_until

from keytrail.deploy.embedded.state import read_parts
from keytrail.producers import AuditTrail
from keytrail.producers.ids import UuidV7
from keytrail.producers.trail import AUDIT_LOSS
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event, Micros
from keytrail.schemas.settings import HttpSettings, Settings
from keytrail.schemas.topics import EVENTS

NOBODY_LISTENS = "127.0.0.1:1"
PROGRAM = Path(__file__).with_name("service_program.py")
TIMEOUT_S = 120
SCHEMA = avro.parse(avro.schema_text("event"))
DECODE = avro.decoder(Event, SCHEMA, SCHEMA)


def away(settings: Settings) -> Settings:
    return replace(
        settings,
        kafka=replace(settings.kafka, bootstrap=NOBODY_LISTENS),
        registry=HttpSettings(f"http://{NOBODY_LISTENS}"),
    )


def arrived(settings: Settings, producer_id: str) -> list[Event]:
    """All of a run that is in Kafka now, in order for each subject; the first of each id, as the worker."""
    consumer = Consumer(
        settings.kafka.client(group_id="test-faults", enable_auto_commit=False, enable_partition_eof=True)
    )
    events: dict[str, Event] = {}
    try:
        partitions = consumer.list_topics(EVENTS.name, TIMEOUT_S).topics[EVENTS.name].partitions
        consumer.assign([TopicPartition(EVENTS.name, number, 0) for number in partitions])
        ended: set[int | None] = (
            set()
        )  # not by offsets: the last one may be a transaction's end, which nobody gets
        while ended != set(partitions):
            for message in consumer.consume(1_000, 0.1):
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    ended.add(message.partition())
                elif producer_id.encode() in (value := message.value() or b""):
                    event = DECODE(value, wire.HEADER_LENGTH)
                    events.setdefault(event.event_id, event)
    finally:
        consumer.close()
    return [event for event in events.values() if event.producer_id == producer_id]


def check_books(events: list[Event], emitted: int, producer_id: str) -> int:
    """Every number is an event or a told loss; the events of a subject are in order.  How many were lost."""
    numbers = [event.sequence for event in events]
    assert len(set(numbers)) == len(numbers)
    lost: dict[str, int] = {}
    ranges: list[tuple[int, int]] = []
    for event in events:
        if event.action == AUDIT_LOSS and event.attributes["producer_id"] == producer_id:
            said = event.attributes
            lost[said["why"]] = max(lost.get(said["why"], 0), int(said["count"]))
            ranges.append((int(said["first"]), int(said["last"])))
    missing = set(range(1, emitted + 1)) - set(numbers)
    assert sum(lost.values()) == len(missing)
    assert all(any(first <= number <= last for first, last in ranges) for number in missing)
    by_subject: dict[str, list[int]] = {}
    for event in events:
        by_subject.setdefault(event.whose, []).append(event.sequence)
    assert all(each == sorted(each) for each in by_subject.values())
    return len(missing)


def pid_of(settings: Settings, name: str) -> int:
    return next(part.pid or 0 for part in read_parts(settings.data_dir) if part.name == name)


class Recording:
    """A thread that records without end, to so many subjects."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        number = 0
        while not self._stop.wait(0.002):
            for _ in range(10):
                number += 1
                self._trail.grant(f"user-{number % 7}", "admin", key=None, actor="anna", reason=str(number))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("spooled", [True, False])
def test_a_broker_that_hangs_and_one_that_is_killed(tmp_path: Path, spooled: bool) -> None:
    with running_stack(tmp_path / "data", workers=0, sinks=0) as settings:
        trail = AuditTrail(
            "billing", settings=settings, spool=tmp_path / "spool" if spooled else None, capacity=100_000
        )
        recording = Recording(trail)

        def more(count: int) -> None:
            begun = trail.stats().delivered
            wait_until(lambda: trail.stats().delivered > begun + count, lambda: str(trail.stats()))

        more(100)
        broker = pid_of(settings, "kafka")
        os.kill(broker, signal.SIGSTOP)
        wait_until(lambda: trail.stats().waiting + trail.stats().spooled > 2_000)
        os.kill(broker, signal.SIGCONT)
        more(2_000)
        os.kill(broker, signal.SIGKILL)
        begun = trail.stats().recorded
        wait_until(lambda: trail.stats().recorded > begun + 1_000)
        more(1_000)
        recording.stop()
        assert trail.close(60) == 0

        stats = trail.stats()
        assert (stats.lost, stats.delivered) == (0, stats.recorded)
        events = arrived(settings, trail.producer_id)
        assert check_books(events, stats.recorded, trail.producer_id) == 0


def test_what_kafka_refuses_is_lost_alone_and_told(settings: Settings) -> None:
    properties = {"message.max.bytes": "2000", "queue.buffering.max.messages": "3"}
    limited = replace(settings, kafka=replace(settings.kafka, properties=properties))
    with AuditTrail("billing", settings=limited) as trail:
        for number in range(20):
            trail.grant("bob", "admin", key=None, actor="anna", after="x" * (5_000 if number == 7 else 5))
        wait_until(lambda: trail.stats().delivered == 20)

    assert trail.lost == 1
    assert check_books(arrived(settings, trail.producer_id), 21, trail.producer_id) == 1


@contextmanager
def service(settings: Settings, spool: Path, events: int, spool_bytes: int) -> Iterator[dict[str, Any]]:
    """What a service says once all of its events are in the spool, or while it goes on recording (0 events);
    it is killed when the block begins."""
    command = [sys.executable, str(PROGRAM), settings.kafka.bootstrap, settings.registry.url, str(spool)]
    process = subprocess.Popen(
        [*command, str(events), str(spool_bytes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        process.kill()
        process.wait(TIMEOUT_S)
        yield said
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(TIMEOUT_S)


@pytest.mark.parametrize(("count", "spool_bytes"), [(5_000, 64 << 20), (20_000, 4 << 20)])
def test_a_service_that_is_killed_while_kafka_is_away(
    settings: Settings, tmp_path: Path, count: int, spool_bytes: int
) -> None:
    with service(away(settings), tmp_path, count, spool_bytes) as said:
        assert said["spooled"] + said["lost"] == said["recorded"]
        assert bool(said["lost"]) == (spool_bytes < 8 << 20)

    with AuditTrail("billing", settings=settings, spool=tmp_path) as trail:
        trail.login(key=None, actor="anna")
        wait_until(lambda: trail.stats().delivered == 1)
        assert trail.stats().left_over_delivered == said["spooled"]

    events = arrived(settings, said["producer_id"])
    assert check_books(events, said["recorded"], said["producer_id"]) == said["lost"]
    [login] = arrived(settings, trail.producer_id)
    assert login.action == "login"
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_killed_in_the_midst_of_recording_loses_its_last_events_alone(
    settings: Settings, tmp_path: Path
) -> None:
    with (
        service(away(settings), tmp_path, 0, 64 << 20) as said,
        AuditTrail("billing", settings=settings, spool=tmp_path),
    ):
        wait_until(lambda: not spooled_runs(tmp_path, said), lambda: str(list(tmp_path.rglob("*"))))

    numbers = sorted(event.sequence for event in arrived(settings, said["producer_id"]))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= said["spooled"] > 0


def spooled_runs(spool: Path, said: dict[str, Any]) -> list[Path]:
    """The folder of a run, while it is there."""
    run = said["producer_id"].removeprefix("billing:")
    return [folder for folder in spool.iterdir() if run in folder.name]


def test_a_service_that_is_killed_while_it_delivers_and_again(settings: Settings, tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    for _ in range(3):
        with service(settings, tmp_path, 3_000, 64 << 20) as one:
            said.append(one)
    with AuditTrail("billing", settings=settings, spool=tmp_path):
        wait_until(lambda: not list(tmp_path.iterdir()), lambda: str(list(tmp_path.rglob("*"))))

    for one in said:
        assert check_books(arrived(settings, one["producer_id"]), 3_000, one["producer_id"]) == 0


def test_a_full_disk_under_the_spool(settings: Settings, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 3) as disk:
        trail = AuditTrail("billing", settings=away(settings), spool=tmp_path / "disk", capacity=1_000)
        trail.grant("bob", "admin", key=None, actor="anna")
        wait_until(lambda: trail.stats().spooled == 1)
        disk.fill()
        for _ in range(20_000):
            trail.grant("bob", "admin", key=None, actor="anna", after="x" * 200)
        before = trail.stats()
        assert before.lost > 0
        assert before.recorded == before.waiting + before.spooled + before.lost
        disk.free()
        # Once there is room, what is lost is told, and what is left goes to the disk.
        trail.grant("bob", "admin", key=None, actor="anna")
        wait_until(lambda: trail.stats().waiting == 0)
        left = trail.close()
        stats = trail.stats()
        assert left == stats.spooled

        with AuditTrail("billing", settings=settings, spool=tmp_path / "disk") as later:
            wait_until(lambda: later.stats().left_over_delivered == stats.spooled)
    events = arrived(settings, trail.producer_id)
    assert check_books(events, stats.recorded, trail.producer_id) == stats.lost


def test_a_full_disk_while_kafka_is_there_costs_nothing(settings: Settings, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 3) as disk:
        disk.fill()
        with AuditTrail("billing", settings=settings, spool=tmp_path / "disk") as trail:
            for _ in range(500):
                trail.grant("bob", "admin", key=None, actor="anna")
            wait_until(lambda: trail.stats().delivered == 500)
        assert trail.lost == 0
    assert check_books(arrived(settings, trail.producer_id), 500, trail.producer_id) == 0


@pytest.mark.parametrize("spooled", [True, False])
def test_a_clock_that_steps_back_an_hour(settings: Settings, tmp_path: Path, spooled: bool) -> None:
    behind = 0

    def now_ns() -> int:
        return time.time_ns() - behind * 3600 * 10**9

    with AuditTrail(
        "billing",
        settings=settings,
        spool=tmp_path if spooled else None,
        clock=lambda: Micros(now_ns() // 1000),
        new_id=UuidV7(clock_ns=now_ns),
    ) as trail:
        for behind in (0, 1, 0, 1):  # noqa: B007  # the clock looks at it
            for number in range(100):
                trail.grant(f"user-{number % 7}", "admin", key=None, actor="anna")
        wait_until(lambda: trail.stats().delivered == 400, lambda: str(trail.stats()))
        assert trail.stats().oldest_waiting_s == 0
    assert trail.lost == 0

    events = arrived(settings, trail.producer_id)
    assert check_books(events, 400, trail.producer_id) == 0
    events.sort(key=lambda event: event.sequence)
    ids = [event.event_id for event in events]
    assert ids == sorted(set(ids))
    assert events[150].recorded_at < events[50].recorded_at
