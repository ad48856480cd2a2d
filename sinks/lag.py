"""How far each stage of the pipeline is behind the topics that it reads."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from keytrail.schemas import topics
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import SINK_GROUP, WORKER_GROUP, Topic
from keytrail.sinks.clickhouse.tables import TABLES
from keytrail.sinks.cluster import Cluster, Place

_POLL_S = 0.1


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


def await_caught_up(settings: KafkaSettings, patience_s: float) -> bool:
    """Returns when each stage has dealt with what there was for it when its turn came, or False: not in time.

    What was in the topic of events when this was called is then in the tables.  Raises as `read_lag` does.
    """
    deadline = time.monotonic() + patience_s
    for stage in STAGES:
        goals = {(lag.topic, lag.partition): lag.end for lag in read_lag(settings, [stage]) if lag.lag}
        while goals:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
            for lag in read_lag(settings, [stage]):
                if (lag.committed or 0) >= goals.get((lag.topic, lag.partition), lag.end + 1):
                    del goals[lag.topic, lag.partition]
    return True
