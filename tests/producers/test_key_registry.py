"""Changing keys side by side: no edit is lost, and none is made on an old copy."""

import threading
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from keytrail.producers.ids import UuidV7
from keytrail.producers.key_changes import KeyChangeError
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.producers.key_registry import Edit, KeyRegistry
from keytrail.schemas.records import Event, Key
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import KEYS

new_id = UuidV7()


def edit(key: Key) -> Edit:
    event = Event(new_id(), 1, 1, "keytrail", None, "anna", "human", key.key_id, None, "issue_key", key.owner)
    return Edit(replace(key, version=key.version + 1), event)


def a_key() -> Key:
    return Key(f"key-{new_id()}", 0, "service", "robot", None, "active", 1)


def test_edits_side_by_side_follow_one_another(settings: Settings) -> None:
    [key] = KeyRegistry(settings).change(lambda _: [edit(a_key())])
    failed: list[BaseException] = []

    def work(label: str) -> None:
        def decide(known: KeyLog) -> list[Edit]:
            now = known.get(key.key_id)
            return [edit(replace(now, labels={**now.labels, label: "x"}))]

        try:
            KeyRegistry(settings).change(decide)
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"by-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    found = read_keys(settings).get(key.key_id)
    assert failed == []
    assert (found.version, sorted(found.labels)) == (5, ["by-0", "by-1", "by-2", "by-3"])


def test_what_decide_refuses_is_not_written(settings: Settings) -> None:
    key = a_key()

    def refuse(_known: KeyLog) -> list[Edit]:
        raise KeyChangeError("no")

    with pytest.raises(KeyChangeError):
        KeyRegistry(settings).change(refuse)
    KeyRegistry(settings).change(lambda _: [edit(key)])
    assert read_keys(settings).get(key.key_id).version == 1


def test_what_a_killed_writer_left_open_is_not_read_and_stops_nobody(settings: Settings) -> None:
    left = Producer(settings.kafka.client(transactional_id="keytrail-key-registry"))
    left.init_transactions(30)
    left.begin_transaction()
    left.produce(KEYS.name, b"unfinished", b"key-unfinished")
    left.flush(10)

    [key] = KeyRegistry(settings).change(lambda _: [edit(a_key())])
    known = read_keys(settings)
    assert key.key_id in known.keys
    assert "key-unfinished" not in {*known.keys, *known.unreadable}
