"""How far the sink is with the enriched topic, log by log."""

from keytrail.schemas.topics import ENRICHED, SINK_GROUP
from keytrail.sinks.clickhouse.positions import Committed
from keytrail.sinks.cluster import Cluster, Place
from keytrail.sinks.proof.checkpoint import Log


def dealt_with(cluster: Cluster) -> dict[Log, int]:
    """Before this offset every record is a row or a dead letter; a log that has none yet is left out.

    Raises `UnavailableError`.
    """
    topic = cluster.topics([ENRICHED.name]).get(ENRICHED.name)
    if topic is None:
        return {}
    places = [Place(ENRICHED.name, number) for number in range(topic.partitions)]
    ends = {}
    for place, commit in cluster.committed(SINK_GROUP, places).items():
        committed = Committed.read(commit.offset, commit.note)
        if committed and committed.incarnation == topic.incarnation:
            ends[Log(topic.incarnation, place.partition)] = committed.offset
    return dict(sorted(ends.items()))
