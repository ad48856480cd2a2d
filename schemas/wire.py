"""The Confluent wire format: a zero byte, the schema's id in four bytes (big-endian), the datum.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

import struct

MAGIC = 0
HEADER_LENGTH = 5
_HEADER = struct.Struct(">bI")


def frame(schema_id: int) -> bytes:
    """The header that goes before a datum."""
    return _HEADER.pack(MAGIC, schema_id)


def schema_id_of(value: bytes) -> int | None:
    """The schema id in a value's header, or None where the value does not begin with a header."""
    if len(value) < HEADER_LENGTH or value[0] != MAGIC:
        return None
    return int.from_bytes(value[1:HEADER_LENGTH], "big")
