"""The embedded broker, through librdkafka."""

import shutil
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from embedded_support import RunningStack, wait_until

from keytrail.deploy.embedded.jars import JarCache
from keytrail.deploy.embedded.kafka import KafkaNode
from keytrail.deploy.embedded.kafka_image import find_image
from keytrail.deploy.embedded.maven import kafka_cache
from keytrail.deploy.embedded.ports import free_port
from keytrail.schemas.errors import KeytrailError

TIMEOUT_S = 60


def read(engines: RunningStack, topic: str, count: int, isolation: str = "read_committed") -> list[bytes]:
    """The first `count` values of the topic, in no particular order."""
    consumer = Consumer(
        {
            "bootstrap.servers": engines.bootstrap,
            "group.id": f"read-{topic}-{isolation}",
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []

    def has_all() -> bool:
        for message in consumer.consume(count - len(values), 0.5):
            assert message.error() is None, message.error()
            values.append(message.value() or b"")
        return len(values) >= count

    try:
        wait_until(has_all, f"{count} messages of {topic}")
    finally:
        consumer.close()
    return values


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_taken_and_given_back(engines: RunningStack, topic: str, codec: str) -> None:
    producer = Producer({"bootstrap.servers": engines.bootstrap, "compression.type": codec, "linger.ms": 50})
    sent = [f"{codec} {number} ".encode() * 20 for number in range(500)]
    for value in sent:
        producer.produce(topic, value)
    assert producer.flush(TIMEOUT_S) == 0
    assert sorted(read(engines, topic, len(sent))) == sorted(sent)


def test_an_aborted_transaction_is_not_seen_and_a_committed_one_is(engines: RunningStack, topic: str) -> None:
    producer = Producer({"bootstrap.servers": engines.bootstrap, "transactional.id": topic})
    producer.init_transactions(TIMEOUT_S)
    for outcome in ("aborted", "committed"):
        producer.begin_transaction()
        for number in range(10):
            producer.produce(topic, f"{outcome} {number}".encode(), partition=number % 2)
        producer.flush(TIMEOUT_S)
        if outcome == "committed":
            producer.commit_transaction(TIMEOUT_S)
        else:
            producer.abort_transaction(TIMEOUT_S)
    assert sorted(read(engines, topic, 10)) == [f"committed {number}".encode() for number in range(10)]
    assert len(read(engines, topic, 20, "read_uncommitted")) == 20


def test_offsets_are_committed_in_the_transaction_that_writes_the_output(
    engines: RunningStack, topic: str
) -> None:
    consumer = Consumer(
        {"bootstrap.servers": engines.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    producer = Producer({"bootstrap.servers": engines.bootstrap, "transactional.id": topic})
    producer.init_transactions(TIMEOUT_S)
    consumer.subscribe([topic])
    wait_until(lambda: consumer.poll(0.2) is not None or consumer.assignment(), "an assignment")
    producer.begin_transaction()
    producer.produce(topic, b"out", partition=0)
    position = consumer.assignment()
    for place in position:
        place.offset = 7
    producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), TIMEOUT_S)
    producer.commit_transaction(TIMEOUT_S)
    assert {place.offset for place in consumer.committed(position, timeout=TIMEOUT_S)} == {7}
    consumer.close()


def test_a_message_of_several_megabytes_is_taken(engines: RunningStack, topic: str) -> None:
    large = bytes(5_000_000)
    producer = Producer({"bootstrap.servers": engines.bootstrap, "message.max.bytes": 8_000_000})
    producer.produce(topic, large)
    assert producer.flush(TIMEOUT_S) == 0
    assert read(engines, topic, 1) == [large]


def test_a_topic_is_not_made_by_writing_to_it(engines: RunningStack) -> None:
    producer = Producer({"bootstrap.servers": engines.bootstrap, "message.timeout.ms": 1000})
    errors: list[KafkaError | None] = []
    try:
        producer.produce("nobody-made-this", b"", on_delivery=lambda error, _: errors.append(error))
        producer.flush(TIMEOUT_S)
    except KafkaException as refused:
        errors.append(refused.args[0])
    assert errors
    assert errors[0] is not None
    topics = AdminClient({"bootstrap.servers": engines.bootstrap}).list_topics(timeout=TIMEOUT_S).topics
    assert "nobody-made-this" not in topics


def test_every_part_listens_on_loopback_alone(engines: RunningStack) -> None:
    for name in ("kafka", "registry"):
        listening = [
            connection.laddr.ip.removeprefix("::ffff:")
            for connection in psutil.Process(engines.part_pid(name)).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) == {"127.0.0.1"}


def test_a_start_up_image_is_made_and_a_damaged_one_is_not_used(
    engines: RunningStack, tmp_path: Path
) -> None:
    cache = kafka_cache(lambda _line: None)
    wait_until(lambda: find_image(cache), "the stack's chore has made the image")
    image = find_image(cache)
    assert image is not None
    copies = JarCache(tmp_path, (), lambda: iter, lambda _line: None)
    copy = tmp_path / image.name
    shutil.copyfile(image, copy)
    assert find_image(copies) == copy
    with copy.open("r+b") as file:
        file.seek(copy.stat().st_size // 2)
        file.write(b"\xff" * 64)
    assert find_image(copies) is None


def test_storage_that_cannot_be_formatted_is_told_with_kafka_s_own_reason(tmp_path: Path) -> None:
    port = free_port()
    node = KafkaNode(tmp_path, port, port, kafka_cache(lambda _line: None).paths, image=None)
    with pytest.raises(KeytrailError, match=f"two listeners on the same port .* port: {port}\\.$"):
        node.prepare()
