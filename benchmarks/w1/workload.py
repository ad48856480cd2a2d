"""W1: the work that every engine does, and its input.

Read a topic of Avro events, look each one's key up among 2,000, apply four rules (unknown key, expired key,
role outside the key's scope, role sprawl by a set of roles for each subject), and write the enriched event,
keyed as it came.  `python -m benchmarks.w1` runs the engines one after the other.
"""

import io
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 2
HEADER = b"\0\0\0\0\1"
ACTIONS = ("GRANT", "REVOKE", "USE", "CREATE", "DELETE")
SPRAWL_ROLES = 10
UNKNOWN, EXPIRED, OUT_OF_SCOPE, SPRAWL = "unknown key", "expired key", "role out of scope", "role sprawl"

_OPTIONAL: Any = {"type": ["null", "string"], "default": None}
_FIELDS: list[dict[str, Any]] = [
    {"name": "event_id", "type": "string"},
    {"name": "occurred_at", "type": "long"},
    {"name": "service", "type": "string"},
    {"name": "key_id", "type": "string"},
    {"name": "actor", "type": "string"},
    {"name": "action", "type": {"type": "enum", "name": "Action", "symbols": list(ACTIONS)}},
    {"name": "subject", "type": "string"},
    {"name": "role", **_OPTIONAL},
    {"name": "resource", **_OPTIONAL},
    {"name": "permissions", "type": {"type": "array", "items": "string"}},
    {"name": "reason", **_OPTIONAL},
    {"name": "source_ip", **_OPTIONAL},
    {"name": "trace_id", **_OPTIONAL},
    {"name": "attributes", "type": {"type": "map", "values": "string"}},
]
_ADDED: list[dict[str, Any]] = [
    {"name": "owner", **_OPTIONAL},
    {"name": "kind", **_OPTIONAL},
    {"name": "status", **_OPTIONAL},
    {"name": "anomalies", "type": {"type": "array", "items": "string"}, "default": []},
]


def _schema(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "w1", "fields": fields}


EVENT = _schema("Event", _FIELDS)
ENRICHED = _schema("Enriched", _FIELDS + _ADDED)
ADDED = _schema("Added", _ADDED)


@dataclass(frozen=True)
class Key:
    owner: str
    kind: str
    status: str
    scopes: frozenset[str]


def keys() -> dict[str, Key]:
    """The 2,000 keys by id; every 50th is missing."""
    return {
        f"pk_{n:05d}": Key(
            f"owner-{n % 97}",
            "human" if n % 3 == 0 else "service",
            "expired" if n % 40 == 0 else "active",
            frozenset(f"role-{(n * 7 + m) % 200}" for m in range(20)),
        )
        for n in range(2000)
        if n % 50
    }


def events(count: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of each record, of about 190 bytes; the same for the same count and seed."""
    draw = random.Random(seed)
    schema = fastavro.parse_schema(json.loads(json.dumps(EVENT)))
    for number in range(count):
        subject = f"user{draw.randrange(5000)}"
        out = io.BytesIO()
        out.write(HEADER)
        fastavro.schemaless_writer(
            out,
            schema,
            {
                "event_id": str(uuid.UUID(int=draw.getrandbits(128))),
                "occurred_at": 1_780_000_000_000_000 + number * 1000,
                "service": f"svc-{draw.randrange(40)}",
                "key_id": f"pk_{draw.randrange(2000):05d}",
                "actor": f"user{draw.randrange(500)}@corp",
                "action": draw.choice(ACTIONS),
                "subject": subject,
                "role": f"role-{draw.randrange(200)}",
                "resource": f"db/{draw.randrange(300)}",
                "permissions": ["read", "write"][: draw.randrange(3)],
                "reason": f"TICKET-{draw.randrange(9999)}",
                "source_ip": f"10.0.{draw.randrange(256)}.{draw.randrange(256)}",
                "trace_id": f"{draw.getrandbits(128):032x}",
                "attributes": {"region": "eu-1"},
            },
        )
        yield subject.encode(), out.getvalue()


def fill(bootstrap: str, topic: str, count: int) -> int:
    """Make the source topic with its events; gives the bytes of all values."""
    make_topic(bootstrap, topic)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": "lz4",
            "linger.ms": 20,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    size = 0
    for key, value in events(count):
        size += len(value)
        producer.produce(topic, value, key)
        producer.poll(0)
    if producer.flush(120):
        raise RuntimeError(f"{topic} could not be filled")
    return size


def make_topic(bootstrap: str, name: str, config: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config or {})])[name].result(30)
