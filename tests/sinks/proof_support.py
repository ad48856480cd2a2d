"""Pipelines whose events are proved: records, a sink, a notary, and what they have made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sink_support import Feed, event, running_sink
from waiting import wait_until

from keytrail.cli.notary import now
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ENRICHED, SINK_GROUP
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.proof.checkpoint import Checkpoint
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.notary import Notary

PARTITIONS = 4


def with_keys(settings: Settings) -> Settings:
    """Makes the key, once for all tests of a stack: a notary goes on from checkpoints of its own only."""
    keys = KeyringFile(settings.checkpoint_keys)
    if not keys.path.exists():
        keys.rotate(now())
    return settings


@contextmanager
def notary_of(settings: Settings, **more: Any) -> Iterator[Notary]:
    notary = Notary(settings, now, **more)
    try:
        yield notary
    finally:
        notary.close()


def ends(settings: Settings) -> dict[Place, int]:
    return Cluster(settings.kafka).ends([Place(ENRICHED.name, number) for number in range(PARTITIONS)])


def store(settings: Settings, service: str, counts: Sequence[int]) -> None:
    """So many new events of a partition each; returns when the sink has dealt with all there is."""
    feed = Feed(settings)
    for partition, count in enumerate(counts):
        feed.events([event(service, sequence=number + 1) for number in range(count)], partition)
    target = ends(settings)
    cluster = Cluster(settings.kafka)

    def dealt_with() -> bool:
        committed = cluster.committed(SINK_GROUP, target)
        return all(
            place in committed and committed[place].offset >= end for place, end in target.items() if end
        )

    with running_sink(settings):
        wait_until(dealt_with, "the sink has committed every end")


def sign_all(settings: Settings) -> list[Checkpoint]:
    with notary_of(settings) as notary:
        return notary.round()
