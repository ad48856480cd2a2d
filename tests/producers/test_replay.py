"""Replaying dead letters: as they were, where they were, and never twice - also when a replay is killed."""

import json
import os
import random
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from confluent_kafka import Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from keytrail.cli.deadletter_replay import parse_place
from keytrail.cli.main import main
from keytrail.producers.clock import system_clock
from keytrail.producers.committed import read_committed
from keytrail.producers.dead_letters import DeadLetterTopic, Letter, Place
from keytrail.producers.librdkafka import KAFKA_LOG
from keytrail.producers.replay import REPLAY_OF, Replayer, Selection, fates, read_log
from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.records import CUT_HEADER, DeadLetter, Header
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEAD_LETTERS, EVENTS, KEYS

DICE = random.Random()


def letter(offset: int, reason: str, **fields: object) -> DeadLetter:
    """At offsets that no topic of these tests comes to, and at a time that is its test's alone."""
    base = DeadLetter(
        source_topic=EVENTS.name,
        source_partition=offset % 4,
        source_offset=10**12 + offset,
        source_timestamp=zlib.crc32(reason.encode()),
        reason=reason,
        detail="",
        remedy="",
        schema_id=None,
        key=f"key-{offset}".encode(),
        value=f"{reason} {offset}".encode(),
        headers=[],
        failed_at=system_clock(),
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def set_aside(settings: Settings, letters: Iterable[DeadLetter]) -> None:
    text = avro.schema_text("deadletter")
    frame = wire.frame(Registry(settings.registry).register(DEAD_LETTERS, text))
    encode = avro.encoder(avro.parse(text))
    producer = Producer(settings.kafka.client(queue_buffering_max_messages=1_000_000), logger=KAFKA_LOG)
    for some in letters:
        producer.produce(DEAD_LETTERS.name, frame + encode(some), str(Letter.of(some).place))
    assert producer.flush(60) == 0


def came_back(settings: Settings, reason: str) -> list[Message]:
    # Readers see what was committed a moment later, and surely once the next replay may begin.
    Replayer(settings.kafka, system_clock).take_over()
    return [
        message
        for message in read_committed(settings.kafka, EVENTS.name)
        if (message.value() or b"").startswith(reason.encode() + b" ")
    ]


def new_reason() -> str:
    """Of this test alone: the topics are those of all tests."""
    return f"reason-{DICE.getrandbits(64):x}"


def command(settings: Settings, *arguments: str) -> int:
    connection = ("--kafka", settings.kafka.bootstrap, "--registry", settings.registry.url)
    return main(["deadletter", "replay", *arguments, *connection])


def test_a_record_comes_back_as_it_was_to_where_it_was(settings: Settings) -> None:
    reason = new_reason()
    headers = [Header("trace", b"\xff"), Header("trace", None), Header(REPLAY_OF, b"keytrail.events/0/7")]
    some = letter(6, reason, headers=headers)
    set_aside(settings, [some, letter(7, reason, key=None)])
    assert command(settings, "--reason", reason) == 0
    by_partition = {message.partition(): message for message in came_back(settings, reason)}
    assert by_partition.keys() == {2, 3}
    assert (by_partition[2].key(), by_partition[2].value()) == (some.key, some.value)
    assert by_partition[2].headers() == [
        ("trace", b"\xff"),
        ("trace", None),
        (REPLAY_OF, b"keytrail.events/0/7"),
        (REPLAY_OF, f"keytrail.events/2/{some.source_offset}".encode()),
    ]
    assert by_partition[3].key() is None


def test_what_was_sent_is_not_sent_again_and_a_dry_run_sends_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = new_reason()
    # Sinks may write a letter twice; a topic that is made anew has its places again.
    letters = [letter(1, reason), letter(1, reason), letter(1, reason, source_timestamp=5), letter(2, reason)]
    set_aside(settings, letters)
    found = []
    for flags in (["--dry-run"], ["--place", str(Letter.of(letters[-1]).place)], [], []):
        assert command(settings, "--json", "--reason", reason, *flags) == 0
        found.append(json.loads(capsys.readouterr().out))
    nothing_else = {"reason": reason, "not_whole": 0, "not_for_replay": 0}
    assert found == [
        {"sent": 3, "sent_before": 0, **nothing_else},
        {"sent": 1, "sent_before": 0, **nothing_else},
        {"sent": 2, "sent_before": 1, **nothing_else},
        {"sent": 0, "sent_before": 3, **nothing_else},
    ]
    assert len(came_back(settings, reason)) == 3


def test_time_and_place_choose(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    reason = new_reason()
    set_aside(settings, [letter(n, reason, failed_at=system_clock() - n * 3_600_000_000) for n in range(5)])
    assert command(settings, "--reason", reason, "--since", "150m") == 0
    assert len(came_back(settings, reason)) == 3
    assert "3 records were sent back." in capsys.readouterr().err
    assert command(settings, "--place", f"{reason}/0/1") == 1
    assert f"no such dead letter of {reason}/0/1" in capsys.readouterr().err
    assert command(settings, "--place", "nowhere") == 2
    assert command(settings, "--since", "noon") == 2


def test_a_replay_that_was_overtaken_sends_nothing(settings: Settings) -> None:
    reason = new_reason()
    letters = [letter(n, reason) for n in range(10)]
    first, second = (Replayer(settings.kafka, system_clock) for _ in range(2))
    first.take_over()
    log = read_log(settings.kafka)
    second.take_over()
    with pytest.raises(KeytrailError, match="Another replay has taken over"):
        list(first.send(fates(letters, log, Selection())))
    sent = list(second.send(fates(letters, read_log(settings.kafka), Selection())))
    assert [fate for _, fate in sent] == ["due"] * 10
    assert len(came_back(settings, reason)) == 10


def test_a_record_that_kafka_refuses_holds_its_batch_back_and_is_named(settings: Settings) -> None:
    reason = new_reason()
    large = letter(3, reason, value=os.urandom(2_000_000))
    read_log(settings.kafka)  # as every replay begins: the log is there afterwards
    replayer = Replayer(settings.kafka, system_clock)
    replayer.take_over()
    with pytest.raises(KeytrailError, match=str(Letter.of(large).place)):
        list(replayer.send(fates([letter(1, reason), large], set(), Selection())))
    list(replayer.send(fates([letter(2, reason)], set(), Selection())))
    assert [message.value() for message in came_back(settings, reason)] == [f"{reason} 2".encode()]


def test_replays_that_are_killed_send_each_letter_once(settings: Settings) -> None:
    reason, count = new_reason(), 8_000
    set_aside(settings, (letter(n, reason) for n in range(count)))
    connection = ["--kafka", settings.kafka.bootstrap, "--registry", settings.registry.url]
    replaying = [sys.executable, "-m", "keytrail.cli.main", "deadletter", "replay", "--reason", reason]
    for _ in range(3):
        before = len(read_log(settings.kafka))
        with subprocess.Popen([*replaying, *connection], stderr=subprocess.DEVNULL) as process:
            # Killed in the midst of what it sends, not while it starts.
            while process.poll() is None and len(read_log(settings.kafka)) == before:
                time.sleep(0.01)
            process.kill()
    assert command(settings, "--reason", reason) == 0
    counts = Counter(message.value() for message in came_back(settings, reason))
    assert counts == {f"{reason} {n}".encode(): 1 for n in range(count)}


NAMES = st.integers(0, 5)


@given(st.lists(NAMES, max_size=20), st.sets(NAMES), st.sets(NAMES), st.sets(NAMES))
def test_each_letter_has_one_fate(
    offsets: list[int], sent: set[int], cut: set[int], of_keys: set[int]
) -> None:
    def made(offset: int) -> DeadLetter:
        topic = KEYS.name if offset in of_keys else EVENTS.name
        return letter(
            offset, "r", source_topic=topic, headers=[Header(CUT_HEADER, b"9")] if offset in cut else []
        )

    before = {Letter.of(made(offset)).pack() for offset in sent}
    found = [(some.source_offset, fate) for some, fate in fates(map(made, offsets), before, Selection())]
    assert len(found) == len({offset for offset, _ in found}) == len(set(offsets))
    for offset, fate in found:
        number = offset - 10**12
        if number in of_keys:
            assert fate == "not for replay"
        elif number in sent:
            assert fate == "sent before"
        else:
            assert fate == ("cut" if number in cut else "due")


def test_places_are_read_as_they_are_written() -> None:
    place = Place("a/strange.topic", 3, 17)
    assert parse_place(str(place)) == place
    for text in ("", "a/1", "/1/2", "a/1/-2", "a/x/1", "a/1/" + "9" * 30, "a/1/\u0661"):
        with pytest.raises(UsageError):
            parse_place(text)


def test_the_topic_is_read_to_its_present_end(settings: Settings) -> None:
    reason = new_reason()
    set_aside(settings, (letter(n, reason) for n in range(100)))
    reading = DeadLetterTopic(settings).letters()
    first = next(some for some in reading if some.reason == reason)
    set_aside(settings, (letter(n, reason) for n in range(100, 200)))
    offsets = {some.source_offset for some in (first, *reading) if some.reason == reason}
    assert offsets == {10**12 + n for n in range(100)}
