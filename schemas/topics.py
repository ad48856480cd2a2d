"""The topics: what each carries, how it is keyed, and how it is laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_WEEK_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Topic:
    """`per_partition`: as many partitions as the events topic, so that stages stay aligned."""

    name: str
    keyed_by: str
    per_partition: bool = True
    config: Mapping[str, str] = field(default_factory=dict, hash=False)


# What the worker writes holds an event and more, so it may be larger than what producers send.
MAX_EVENT_BYTES = 1_048_588
MAX_MESSAGE_BYTES = 8_388_608
_LARGE = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
_KEEP = {"retention.ms": "-1", **_LARGE}
_COMPACTED = {"cleanup.policy": "compact", **_LARGE}

# Of all topics.  The broker's clock, not the producers': it bounds how far ahead an event may be, takes what
# those write whose clocks are, and drops no signals before their time where a worker's clock is behind.
BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}

EVENTS = Topic(
    "keytrail.events",
    "subject",
    config={"retention.ms": "-1", "max.message.bytes": str(MAX_EVENT_BYTES)},
)
ENRICHED = Topic("keytrail.enriched", "subject", config=_KEEP)
SIGNALS = Topic("keytrail.signals", "entity", config={"retention.ms": str(_WEEK_MS), **_LARGE})
ANOMALIES = Topic("keytrail.anomalies", "entity", config=_KEEP)
DEAD_LETTERS = Topic("keytrail.deadletter", "source place", config=_KEEP)
KEYS = Topic("keytrail.keys", "key_id", per_partition=False, config=_COMPACTED)
DEPARTURES = Topic("keytrail.departures", "subject", per_partition=False, config=_COMPACTED)
POLICIES = Topic("keytrail.policies", "policy_id", per_partition=False, config=_COMPACTED)
SUBJECT_STATE = Topic("keytrail.state.subjects", "subject", config=_COMPACTED)
FINDING_STATE = Topic("keytrail.state.findings", "entity", config=_COMPACTED)

# A destroyed key has to be gone soon: compacted from a minute on, however little there is to gain.
SUBJECT_KEYS = Topic(
    "keytrail.subject_keys",
    "pseudonym and key",
    per_partition=False,
    config={
        "cleanup.policy": "compact",
        "segment.ms": "60000",
        "min.cleanable.dirty.ratio": "0",
        "delete.retention.ms": "60000",
        "file.delete.delay.ms": "1000",
    },
)

# Partition by partition as the enriched topic, so that a log's newest checkpoint stands at an end.
CHECKPOINTS = Topic("keytrail.checkpoints", "log", config=_KEEP)

ALL_TOPICS = (
    *(EVENTS, ENRICHED, SIGNALS, ANOMALIES, DEAD_LETTERS, KEYS, DEPARTURES, POLICIES),
    *(SUBJECT_STATE, FINDING_STATE, CHECKPOINTS, SUBJECT_KEYS),
)
DEFAULT_PARTITIONS = 4

# The consumer groups that read them.
WORKER_GROUP = "keytrail-worker"
SINK_GROUP = "keytrail-sink"
