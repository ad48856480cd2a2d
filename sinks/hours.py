"""How far the rules have judged that wait until all partitions are past an hour, and which hold them back."""

from dataclasses import dataclass

from keytrail.schemas.ledger import EventHours
from keytrail.schemas.settings import KafkaSettings
from keytrail.schemas.topics import EVENTS, FINDING_STATE
from keytrail.sinks.cluster import Cluster
from keytrail.sinks.ledgers import LedgerReader
from keytrail.sinks.spans import SpanReader

# Quiet partitions are often some hours behind, and by the built-in policy nobody is missed before this.
_TOLERABLE = 6


@dataclass(frozen=True)
class Holding:
    """A partition that is far behind the furthest one; None: two services have never reported there."""

    partition: int
    reached: int | None


@dataclass(frozen=True)
class JudgedHours:
    """Hours are counted since 1970, UTC.  What was before `judged` is judged: nothing yet, where it is None.

    `furthest` is the hour of the partition that is furthest, None where none has reached any.
    """

    judged: int | None
    furthest: int | None
    holding: tuple[Holding, ...]


def read_judged_hours(kafka: KafkaSettings) -> JudgedHours | None:
    """None where no worker has told of it.  Raises `UnavailableError` where Kafka does not answer."""
    cluster = Cluster(kafka)
    found = cluster.topics([EVENTS.name, FINDING_STATE.name])
    if len(found) < 2:
        return None
    with SpanReader(kafka) as spans:
        ledgers = LedgerReader(cluster, spans, found[FINDING_STATE.name].partitions).findings()
    hours = next((ledger.hours for ledger in ledgers.values() if ledger.hours), None)
    return None if hours is None else judged_hours(hours, found[EVENTS.name].partitions)


def judged_hours(hours: EventHours, partitions: int) -> JudgedHours:
    """Of an events topic with so many partitions."""
    reached = dict(hours.reached)
    furthest = max(reached.values(), default=None)
    holding = tuple(
        Holding(partition, reached.get(partition))
        for partition in range(partitions)
        if partition not in reached or (furthest or 0) - reached[partition] > _TOLERABLE
    )
    return JudgedHours(hours.judged, furthest, holding)
