"""An event as it goes to Kafka, and its frame in a spool's file.

A frame is the length and the CRC-32 of what follows (4 bytes each, little-endian), then the sequence (8), the
time of recording (8), the lengths of key and signature (4, 2), key, signature and datum.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from keytrail.schemas.records import Micros

_LEAD = struct.Struct("<II")
_HEAD = struct.Struct("<QqIH")


class Sealed(NamedTuple):
    """Key, datum, and the signature where the key has a secret; nothing of the secret itself."""

    sequence: int
    recorded_at: Micros
    key: bytes
    datum: bytes
    signature: bytes | None


def frame(sealed: Sealed) -> bytes:
    sequence, recorded_at, key, datum, signature = sealed
    signed = signature or b""
    body = _HEAD.pack(sequence, recorded_at, len(key), len(signed)) + key + signed + datum
    return _LEAD.pack(len(body), zlib.crc32(body)) + body


def unframed(data: bytes, at: int = 0) -> Iterator[tuple[Sealed, int]]:
    """The events from `at` on, each with the place where its frame ends; stops at what is no whole frame."""
    while (body := _body(data, at)) is not None:
        at += _LEAD.size + len(body)
        if len(body) < _HEAD.size:
            return
        sequence, recorded_at, key_size, signature_size = _HEAD.unpack_from(body)
        middle = _HEAD.size + key_size
        end = middle + signature_size
        if end > len(body):
            return
        yield (
            Sealed(sequence, recorded_at, body[_HEAD.size : middle], body[end:], body[middle:end] or None),
            at,
        )


def text_frame(text: str) -> bytes:
    """A frame that holds a text alone, with which a file begins."""
    body = text.encode()
    return _LEAD.pack(len(body), zlib.crc32(body)) + body


def framed_text(data: bytes) -> tuple[str, int] | None:
    """The text with which a file begins, and where it ends; None where it does not begin with one."""
    body = _body(data, 0)
    return None if body is None else (body.decode(errors="replace"), _LEAD.size + len(body))


def _body(data: bytes, at: int) -> bytes | None:
    if at + _LEAD.size > len(data):
        return None
    size, check = _LEAD.unpack_from(data, at)
    body = data[at + _LEAD.size : at + _LEAD.size + size]
    return body if len(body) == size and zlib.crc32(body) == check else None
