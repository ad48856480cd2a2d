"""The real engines under the supervisor: what they hold survives stops, crashes and kills."""

import os
import signal
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from embedded_support import ONLY_CLICKHOUSE_EXTERNAL, RunningStack, all_gone, start_stack, wait_until

TIMEOUT_S = 60
TOPIC = "kept"


def write(stack: RunningStack, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": stack.bootstrap})
    producer.produce(TOPIC, value)
    assert producer.flush(TIMEOUT_S) == 0


def read(stack: RunningStack) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "reader"})
    partition = TopicPartition(TOPIC, 0, 0)
    _, end = consumer.get_watermark_offsets(partition, timeout=TIMEOUT_S)
    consumer.assign([partition])
    values = [message.value() or b"" for message in consumer.consume(end, TIMEOUT_S)]
    consumer.close()
    return values


def test_data_survives_a_crash_of_kafka_a_kill_of_the_supervisor_and_a_stop(tmp_path: Path) -> None:
    data_dir = tmp_path / "dätä 😀"
    stack = start_stack(data_dir, ONLY_CLICKHOUSE_EXTERNAL)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    admin.create_topics([NewTopic(TOPIC, num_partitions=1)])[TOPIC].result(TIMEOUT_S)
    cluster = admin.list_topics(timeout=TIMEOUT_S).cluster_id
    write(stack, b"before the crash")
    schema = Schema('"string"', "AVRO")
    schema_id = SchemaRegistryClient({"url": stack.registry_url}).register_schema("kept", schema)

    killed, bootstrap = stack.part_pid("kafka"), stack.bootstrap
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: stack.part_pid("kafka") not in (0, killed) and stack.is_ready("kafka"), "Kafka is back"
    )
    assert stack.bootstrap == bootstrap
    write(stack, b"after the crash")
    assert SchemaRegistryClient({"url": stack.registry_url}).register_schema("other", schema) == schema_id

    family = stack.family()
    stack.process.kill()
    stack.process.wait()
    stack = start_stack(data_dir, ONLY_CLICKHOUSE_EXTERNAL)
    assert all_gone(family)
    write(stack, b"after the kill")
    stack.stop()

    stack = start_stack(data_dir, ONLY_CLICKHOUSE_EXTERNAL)
    assert read(stack) == [b"before the crash", b"after the crash", b"after the kill"]
    client = SchemaRegistryClient({"url": stack.registry_url})
    assert client.lookup_schema("kept", schema).schema_id == schema_id
    assert sorted(client.get_subjects()) == ["kept", "other"]
    assert (
        AdminClient({"bootstrap.servers": stack.bootstrap}).list_topics(timeout=TIMEOUT_S).cluster_id
        == cluster
    )
    family = stack.family()
    stack.stop()
    assert all_gone(family)


def test_an_external_kafka_is_used_and_its_own_registrys_topic_left_alone(
    engines: RunningStack, tmp_path: Path
) -> None:
    env = {**ONLY_CLICKHOUSE_EXTERNAL, "KEYTRAIL_KAFKA_BOOTSTRAP": engines.bootstrap}
    stack = start_stack(tmp_path, env)
    assert stack.bootstrap == engines.bootstrap
    assert list(stack.parts()) == ["registry"]
    with SchemaRegistryClient({"url": stack.registry_url}) as client:
        assert client.get_subjects() == []
        assert client.register_schema("apart", Schema('"string"', "AVRO")) == 1
    stack.stop()
    topics = AdminClient({"bootstrap.servers": engines.bootstrap}).list_topics(timeout=TIMEOUT_S).topics
    assert {"_schemas", "keytrail.schemas"} <= set(topics)
