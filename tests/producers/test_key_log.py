"""Keys written to and read from a real Kafka with a real registry (the `settings` fixture)."""

import dataclasses

import pytest
from confluent_kafka import Producer

from keytrail.producers import KeyPublisher, read_keys
from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import KeytrailError, UnavailableError, UsageError
from keytrail.schemas.records import Key, Micros
from keytrail.schemas.settings import KafkaSettings, Settings
from keytrail.schemas.topics import KEYS

new_id = UuidV7()


def key(**more: object) -> Key:
    plain = Key(new_id(), 1, "human", "anna", "sre", "active", Micros(1))
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]


def publish(settings: Settings, *keys: Key) -> None:
    publisher = KeyPublisher(settings)
    publisher.publish_all(keys)
    publisher.close(60)


def publish_raw(settings: Settings, key_id: str, value: bytes | None) -> None:
    producer = Producer(settings.kafka.client(partitioner="murmur2_random"))
    producer.produce(KEYS.name, value, key_id.encode())
    assert producer.flush(60) == 0


def test_the_latest_record_of_each_key_counts(settings: Settings) -> None:
    first, other = key(scope_actions=["grant"]), key()
    changed = dataclasses.replace(first, version=2, status="revoked", revoked_at=Micros(9))
    publish(settings, first, other, changed)

    known = read_keys(settings, timeout_s=60)

    assert known.get(first.key_id) == changed
    assert known.get(other.key_id) == other


def test_a_deleted_key_is_gone(settings: Settings) -> None:
    gone = key()
    publish(settings, gone)
    publish_raw(settings, gone.key_id, None)

    known = read_keys(settings, timeout_s=60)

    assert gone.key_id not in known.keys
    with pytest.raises(KeytrailError, match="There is no key"):
        known.get(gone.key_id)


@pytest.mark.parametrize(
    "value",
    [b"", b"junk", b"\0\0\0\0\1", b"\0\x7f\xff\xff\xff" + bytes(9)],
    ids=["empty", "no header", "torn", "unknown schema"],
)
def test_a_key_whose_latest_record_cannot_be_read_is_not_shown_as_it_was(
    settings: Settings, value: bytes
) -> None:
    spoilt = key()
    publish(settings, spoilt)
    publish_raw(settings, spoilt.key_id, value)

    try:
        known = read_keys(settings, timeout_s=60)
    finally:
        publish_raw(settings, spoilt.key_id, None)  # other tests read this topic too

    assert spoilt.key_id in known.unreadable
    with pytest.raises(KeytrailError, match="cannot be read"):
        known.get(spoilt.key_id)


def test_text_that_utf8_cannot_hold_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="Unicode"):
        KeyPublisher(settings).publish(key(owner="\udcff"))


def test_without_kafka_the_wait_ends(settings: Settings) -> None:
    with pytest.raises(UnavailableError, match=r"keytrail\.keys cannot be read"):
        read_keys(dataclasses.replace(settings, kafka=KafkaSettings("127.0.0.1:1")), timeout_s=1)
