"""Joining an event with its key: what is added behind the event's own bytes."""

import json
from collections.abc import Callable

from keytrail.schemas import avro
from keytrail.schemas.records import Enrichment, Micros
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.reading import Readable


class Enricher:
    """Makes enriched values.  Not thread-safe."""

    def __init__(self, partition: int, policy_version: str, clock: Callable[[], Micros]) -> None:
        self._partition = partition
        self._policy_version = policy_version
        self._clock = clock
        self._encode = avro.encoder(avro.parse(_enrichment_schema()))

    def enrich(self, read: Readable, key: KeyAtEvent, findings: list[str]) -> bytes:
        """The value for the enriched topic: wire header, the event's datum as it came, the enrichment."""
        known = key.key
        added = Enrichment(
            key_status=key.status,
            key_owner=known.owner if known else None,
            key_kind=known.kind if known else None,
            key_team=known.team if known else None,
            findings=findings,
            policy_version=self._policy_version,
            source_partition=self._partition,
            source_offset=read.offset,
            enriched_at=self._clock(),
        )
        return read.enriched_frame + read.datum + self._encode(added)


def _enrichment_schema() -> str:
    """The fields that an enriched event has and an event has not, as a record of their own."""
    event = {field["name"] for field in json.loads(avro.schema_text("event"))["fields"]}
    enriched = json.loads(avro.schema_text("enriched"))
    enriched["fields"] = [field for field in enriched["fields"] if field["name"] not in event]
    return json.dumps(enriched)
