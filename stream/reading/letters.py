"""Dead letters: a record that could not be used, as it came, in a form that can always be written."""

from keytrail.schemas.records import CUT_HEADER, DeadLetter, DeadReason, Header, Micros
from keytrail.schemas.topics import Topic
from keytrail.stream.reading.source import SourceRecord

# A letter must fit where the record did not have to: a batch may have come compressed.
MAX_CONTENT_BYTES = 4_000_000
MAX_KEY_BYTES = 1_000_000
_WORDS = 500
_LONG = 1 << 63


def dead_letter(
    source: Topic,
    partition: int,
    record: SourceRecord,
    *,
    reason: DeadReason,
    detail: str,
    remedy: str,
    schema_id: int | None,
    failed_at: Micros,
) -> DeadLetter:
    """The record's letter.

    Bytes are kept as they came up to `MAX_CONTENT_BYTES`.  Beyond them the ends of key and value, and headers
    from the last on, are left out, and a header `keytrail-cut-from` says how many bytes there were; the
    record itself stays at its place.
    """
    key, value = record.key, record.value
    headers = [Header(_words(name), content) for name, content in record.headers]
    size = _size(key) + _size(value) + sum(map(_header_size, headers))
    if size > MAX_CONTENT_BYTES:
        key, value, headers = _cut(key, value, headers)
        headers.append(Header(CUT_HEADER, str(size).encode()))
    return DeadLetter(
        source_topic=source.name,
        source_partition=partition,
        source_offset=record.offset,
        source_timestamp=max(-_LONG, min(record.timestamp * 1000, _LONG - 1)),
        reason=reason,
        detail=_words(detail)[:_WORDS],
        remedy=_words(remedy)[:_WORDS],
        schema_id=schema_id,
        key=key,
        value=value,
        headers=headers,
        failed_at=failed_at,
    )


def _cut(
    key: bytes | None, value: bytes | None, headers: list[Header]
) -> tuple[bytes | None, bytes | None, list[Header]]:
    if key is not None:
        key = key[:MAX_KEY_BYTES]
    left = MAX_CONTENT_BYTES - _size(key)
    kept = []
    for header in headers:
        if _header_size(header) > left // 2:
            break
        left -= _header_size(header)
        kept.append(header)
    return key, None if value is None else value[:left], kept


def _size(content: bytes | None) -> int:
    return len(content or b"")


def _header_size(header: Header) -> int:
    return len(header.name.encode()) + _size(header.value)


def _words(text: str) -> str:
    """Text that UTF-8 can hold: a schema's names may hold half a surrogate pair."""
    return text.encode(errors="replace").decode()
