"""Joining an event with its key: what is added behind the event's own bytes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from keytrail.schemas import avro
from keytrail.schemas.records import Key, Micros
from keytrail.schemas.varint import zigzag, zigzags
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.reading.reading import Readable

_MOST_KEYS = 10_000  # whose part is kept encoded


class Judged(NamedTuple):
    """An event as it was judged: by what of its key, and the names of the rules that found something."""

    read: Readable
    key: KeyAtEvent
    findings: tuple[str, ...]


class Enricher:
    """Makes enriched records of one partition.  Not thread-safe.

    The enrichment's fields stand in three groups: what the key says and what was found, each encoded once
    for all events that share it, and where and when.
    """

    def __init__(self, partition: int, policy_version: str) -> None:
        self._partition = partition
        self._policy_version = policy_version
        self._encode_key = _encoder("key_status", "key_owner", "key_kind", "key_team", "signature")
        self._encode_found = _encoder("findings", "policy_version", "source_partition")
        self._keys: dict[tuple[str, str, str], tuple[Key | None, bytes]] = {}
        self._found: dict[tuple[str, ...], bytes] = {}

    def enrich(self, events: Sequence[Judged], at: Micros) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) for the enriched topic, all of one time.

        A value is a wire header, the event's datum as it came, and the enrichment.
        """
        when = zigzag(at)
        offsets = zigzags([event.read.offset for event in events])
        for (read, key, findings), where in zip(events, offsets, strict=True):
            about_key = self._about_key(key.status, key.key, read.signed.state)
            found = self._about_findings(findings)
            value = b"".join((read.enriched_frame, read.datum, about_key, found, where, when))
            yield read.event.whose.encode(), value

    def _about_key(self, status: str, key: Key | None, signature: str) -> bytes:
        name = (status, "" if key is None else key.key_id, signature)
        kept = self._keys.get(name)
        if kept is None or kept[0] is not key:
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            added = {
                "key_status": status,
                "key_owner": key and key.owner,
                "key_kind": key and key.kind,
                "key_team": key and key.team,
                "signature": signature,
            }
            kept = self._keys[name] = (key, self._encode_key(added))
        return kept[1]

    def _about_findings(self, findings: tuple[str, ...]) -> bytes:
        encoded = self._found.get(findings)
        if encoded is None:
            added = {
                "findings": findings,
                "policy_version": self._policy_version,
                "source_partition": self._partition,
            }
            encoded = self._found[findings] = self._encode_found(added)
        return encoded


def _encoder(*names: str) -> Callable[[Mapping[str, object]], bytes]:
    """For these fields of the enriched event, as a record of their own."""
    schema = json.loads(avro.schema_text("enriched"))
    schema["fields"] = [field for field in schema["fields"] if field["name"] in names]
    return avro.mapping_encoder(avro.parse(json.dumps(schema)))
