"""How far each stage of the pipeline is behind the topics that it reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from keytrail.schemas import topics
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import SINK_GROUP, WORKER_GROUP, Topic
from keytrail.sinks.clickhouse.tables import TABLES
from keytrail.sinks.cluster import Cluster, Place


@dataclass(frozen=True)
class Stage:
    """A consumer group and what it reads."""

    name: str
    group: str
    topics: tuple[Topic, ...]


STAGES = (
    Stage("worker", WORKER_GROUP, (topics.EVENTS, topics.SIGNALS)),
    Stage("sink", SINK_GROUP, tuple(table.topic for table in TABLES)),
)


@dataclass(frozen=True)
class PartitionLag:
    """`end` is the offset behind the last committed record; `committed` is None before the first commit.

    `lag` counts offsets, not records: the marks that transactions leave take offsets too.
    """

    stage: str
    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None

    @property
    def lag(self) -> int:
        return max(0, self.end - max(self.committed or 0, self.begin))


def read_lag(settings: KafkaSettings, stages: Sequence[Stage] = STAGES) -> list[PartitionLag]:
    """The lag of every partition, by stage, topic and partition; a topic that does not exist has none.

    Raises `UnavailableError` where Kafka does not answer.
    """
    cluster = Cluster(settings)
    lags = []
    for stage in stages:
        found = cluster.topics([topic.name for topic in stage.topics])
        places = [Place(name, number) for name, state in found.items() for number in range(state.partitions)]
        if not places:
            continue
        begins, ends = cluster.beginnings(places), cluster.ends(places)
        committed = cluster.committed(stage.group, places)
        for place in sorted(places):
            commit = committed.get(place)
            lags.append(
                PartitionLag(
                    stage.name, *place, begins[place], ends[place], commit.offset if commit else None
                )
            )
    return lags
