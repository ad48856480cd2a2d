"""Records as one Avro object container file, without decoding one of them.

An Avro record is its fields' bytes one after the other, so a record with more fields at its end is the
datum as it came with their bytes behind it.  The fields that are added say where the record came from;
ClickHouse decodes the whole.  Layout: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from keytrail.schemas.errors import SchemaError
from keytrail.schemas.varint import zigzag, zigzags

LINEAGE = ("kafka_offset", "kafka_partition", "kafka_block", "kafka_incarnation")
_LINEAGE_FIELDS = (
    {"name": "kafka_offset", "type": "long"},
    {"name": "kafka_partition", "type": "int"},
    {"name": "kafka_block", "type": "long"},
    # Last, and with a form of its own: where a datum is too long or too short, this is what is misread,
    # and ClickHouse refuses the rows.
    {"name": "kafka_incarnation", "type": "string"},
)
_MAGIC = b"Obj\x01"
_SYNC = b"keytrail-to-rows"


def text(value: bytes) -> bytes:
    """Avro's string and bytes."""
    return zigzag(len(value)) + value


@dataclass(frozen=True)
class Writer:
    """What datums were written with: `columns` are the fields' names, `header` opens a file of them."""

    schema_text: str
    columns: tuple[str, ...]
    header: bytes

    def wrap(
        self, offsets: Sequence[int], datums: Iterable[bytes], *, partition: int, block: int, incarnation: str
    ) -> tuple[bytes, ...]:
        """The pieces of a file with one block; `offsets` and `datums` go together."""
        tail = zigzag(partition) + zigzag(block) + text(incarnation.encode())
        body = b"".join(
            [
                piece
                for datum, offset in zip(datums, zigzags(offsets), strict=True)
                for piece in (datum, offset, tail)
            ]
        )
        return (self.header, zigzag(len(offsets)), zigzag(len(body)), body, _SYNC)


@cache
def writer(schema_text: str) -> Writer:
    """Raises `SchemaError` for a schema that is no record, or whose fields take the names of the lineage."""
    schema = json.loads(schema_text)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise SchemaError("The schema is no record.", "Write the topic with a record's schema.")
    columns = tuple(str(field["name"]) for field in schema["fields"])
    if taken := set(columns) & set(LINEAGE):
        raise SchemaError(
            f"The schema has fields that the sink adds: {', '.join(sorted(taken))}.", "Rename them."
        )
    extended = {**schema, "fields": [*schema["fields"], *_LINEAGE_FIELDS]}
    metadata = zigzag(2)
    for name, value in ((b"avro.schema", json.dumps(extended).encode()), (b"avro.codec", b"null")):
        metadata += text(name) + text(value)
    return Writer(schema_text, columns, _MAGIC + metadata + zigzag(0) + _SYNC)
