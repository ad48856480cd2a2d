"""Committed offsets that went back, by a fault of the broker or by hand: nothing counts twice."""

from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from running import Pipeline, expected_findings, running_part
from scratch_stack import running_stack

from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, EVENTS, SIGNALS, WORKER_GROUP

COUNT = 5_000


def test_nothing_counts_twice_where_the_group_was_set_back(tmp_path: Path) -> None:
    simulation = Simulation(COUNT, seed=5)
    expected = expected_findings(simulation.keys(), simulation.events())
    with running_stack(tmp_path / "data", workers=0, sinks=1) as settings:
        pipeline = Pipeline(settings)
        keys, events = KeyPublisher(settings), EventPublisher(settings)
        for key in list(simulation.keys()):
            keys.publish(key, wait=True)
        keys.close(60)
        assert events.publish_all(simulation.events()) == COUNT
        events.close(60)
        with running_part("worker", settings.data_dir):
            pipeline.wait_for_rows(COUNT)
            pipeline.wait_for_findings(expected)
        set_back(settings)
        with running_part("worker", settings.data_dir) as again:
            assert pipeline.command("emit", "login", "--actor", "somebody") == 0
            pipeline.wait_for_rows(COUNT + 1)
            pipeline.wait_for_findings(expected)
            assert pipeline.rows() == (COUNT + 1, COUNT + 1)
            assert "is behind what is processed" in again.log.read_text()
            assert pipeline.command("status", "--check") == 0


def set_back(settings: Settings) -> None:
    admin = AdminClient(settings.kafka.client())
    every = [TopicPartition(t.name, n, 0) for t in (EVENTS, SIGNALS) for n in range(DEFAULT_PARTITIONS)]
    asked = [ConsumerGroupTopicPartitions(WORKER_GROUP, every)]
    answer = admin.alter_consumer_group_offsets(asked)[WORKER_GROUP].result(30)
    assert all(found.error is None for found in answer.topic_partitions)
