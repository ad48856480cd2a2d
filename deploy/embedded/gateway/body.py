"""Receives a request body: the statement in it, and the rows that follow an INSERT.

Rows go to an unnamed file of the spool folder, and the statement is run only when the last byte is here:
an upload that breaks off has inserted nothing, and a slow one holds no place among the running statements.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from keytrail.deploy.embedded.gateway.coding import Decoder
from keytrail.deploy.embedded.gateway.config import MIB
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.statement import (
    Insert,
    InsertThroughInput,
    Query,
    find_insert,
    read_query,
)

# More than the engine takes for the text of a statement, so an INSERT's rows begin before this.
_HEAD_BYTES = MIB
_BATCH_BYTES = 256 * 1024


@dataclass(frozen=True)
class Body:
    """A statement; `rows` is the open file of an insert's rows, which the receiver closes."""

    statement: Insert | InsertThroughInput | Query
    rows: BinaryIO | None = None


class BodyReader:
    """Takes a body in pieces. `query` is the statement, or its beginning, from the URL.

    Raises `EngineError` for a body over `limit_bytes` (decoded), damaged compression, and statements that
    `statement` refuses.  Not thread-safe; `close` unless `finish` returned.
    """

    def __init__(self, query: bytes, decoder: Decoder, limit_bytes: int, spool_dir: Path) -> None:
        self._decoder = decoder
        self._limit_bytes = limit_bytes
        self._spool_dir = spool_dir
        self._size = 0
        self._head = bytearray(query + b"\n" if query else b"")
        self._insert: Insert | InsertThroughInput | None = None
        self._rows: BinaryIO | None = None
        self._is_query = False
        if query:
            self._look_for_rows()

    def feed(self, raw: bytes) -> None:
        for piece in self._decoder.feed(raw):
            self._size += len(piece)
            if self._size > self._limit_bytes:
                raise _too_large(self._limit_bytes)
            if self._rows:
                self._rows.write(piece)
                continue
            self._head += piece
            if len(self._head) >= _HEAD_BYTES and not self._is_query:
                self._look_for_rows()
                self._is_query = self._rows is None

    def finish(self) -> Body:
        """The statement, once the last piece was fed."""
        self._decoder.finish()
        if not self._rows and not self._is_query:
            self._look_for_rows()
        if self._insert:
            return Body(self._insert, self._rows)
        return Body(read_query(bytes(self._head)))

    def close(self) -> None:
        if self._rows:
            self._rows.close()

    def _look_for_rows(self) -> None:
        self._insert = find_insert(bytes(self._head))
        if self._insert:
            self._rows = TemporaryFile(dir=self._spool_dir)  # noqa: SIM115 - the statement's run closes it
            self._rows.write(self._head[self._insert.data_start :])
            self._head.clear()


async def read_body(stream: AsyncIterator[bytes], reader: BodyReader) -> Body:
    """Feeds `reader` from `stream`, larger pieces in a thread so that other requests go on meanwhile."""
    batch = bytearray()
    try:
        async for chunk in stream:
            batch += chunk
            if len(batch) >= _BATCH_BYTES:
                await asyncio.to_thread(reader.feed, bytes(batch))
                batch.clear()
        reader.feed(bytes(batch))
        return await asyncio.to_thread(reader.finish) if len(batch) >= _BATCH_BYTES else reader.finish()
    except BaseException:
        reader.close()
        raise


async def read_all(stream: AsyncIterator[bytes], decoder: Decoder, limit_bytes: int) -> bytes:
    """A whole decoded body; raises as `BodyReader` does."""
    content = bytearray()
    async for chunk in stream:
        for piece in decoder.feed(chunk):
            content += piece
            if len(content) > limit_bytes:
                raise _too_large(limit_bytes)
    decoder.finish()
    return bytes(content)


def _too_large(limit_bytes: int) -> EngineError:
    return EngineError.of(
        ErrorCode.QUERY_IS_TOO_LARGE, f"The request body is over the limit of {limit_bytes} bytes."
    )
