"""Writes the answer: status and headers as ClickHouse sends them, then the result as it comes."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import SpooledTemporaryFile

from starlette.types import Send

from keytrail.deploy.embedded.gateway.coding import Encoder, encoder
from keytrail.deploy.embedded.gateway.config import MIB
from keytrail.deploy.embedded.gateway.engine import Outcome
from keytrail.deploy.embedded.gateway.errors import EngineError
from keytrail.deploy.embedded.gateway.request import DEFAULT_FORMAT

SERVER_NAME = "keytrail"
_MEMORY_BYTES = 8 * MIB
_PIECE = 256 * 1024
_SMALL = 32 * 1024
_TYPES = (
    ("JSON", "application/json; charset=UTF-8"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("CSV", "text/csv; charset=UTF-8"),
    ("XML", "application/xml; charset=UTF-8"),
    ("Pretty", "text/plain; charset=UTF-8"),
    ("Vertical", "text/plain; charset=UTF-8"),
    ("Values", "text/plain; charset=UTF-8"),
    ("Markdown", "text/markdown; charset=UTF-8"),
    ("SQLInsert", "text/plain; charset=UTF-8"),
)


@dataclass(frozen=True)
class Answer:
    """What the headers of one answer say.

    `format` is empty where the statement is not known for a result; if it has one after all, it comes in
    `default_format`.  `coding` is the content coding, or empty.
    """

    query_id: str
    timezone: str
    format: str = ""
    default_format: str = DEFAULT_FORMAT
    coding: str = ""


class Responder:
    """Sends one answer.  Up to `hold_bytes` of a result are held back before the status is sent (None: all).

    A failure that comes too late for the status is put behind the result, between the marks that clients
    of ClickHouse look for, and the answer is left without its end so that no client takes it for complete.
    """

    def __init__(self, send: Send, answer: Answer, hold_bytes: int | None, spool_dir: Path) -> None:
        self._send = send
        self._answer = answer
        self._hold_bytes = hold_bytes
        self._spool_dir = spool_dir
        self._encoder: Encoder | None = None
        self._tag = secrets.token_hex(8)
        self.started = False
        self.status = 0

    async def result(self, chunks: AsyncIterator[bytes], outcome: "asyncio.Future[Outcome]") -> None:
        """Sends the result from `chunks`; raises `EngineError` where it failed before the status was sent."""
        with SpooledTemporaryFile(max_size=_MEMORY_BYTES, dir=str(self._spool_dir)) as held:
            try:
                async for chunk in chunks:
                    if self.started:
                        await self._body(chunk)
                        continue
                    held.write(chunk)
                    if self._hold_bytes is not None and held.tell() > self._hold_bytes:
                        await self._start(Outcome())
                        await self._pour(held)
            except EngineError as error:
                if not self.started:
                    raise
                await self._body(self._late(error))
                await self._put(self._finished())
                return
            if not self.started:
                await self._start(outcome.result(), has_data=held.tell() > 0)
                await self._pour(held)
        await self._put(self._finished(), more=False)

    async def error(self, error: EngineError) -> None:
        """Answers with an error; only before `started`."""
        text = error.text.encode(errors="replace") + b"\n"
        headers = [
            *self._common(),
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"x-clickhouse-exception-code", str(error.code).encode()),
            (b"content-length", str(len(text)).encode()),
        ]
        await self._head(error.status, headers)
        await self._put(text, more=False)

    async def _start(self, outcome: Outcome, *, has_data: bool = True) -> None:
        headers = self._common()
        headers.append((b"x-clickhouse-summary", _summary(outcome)))
        shown = self._answer.format or (self._answer.default_format if has_data else "")
        if shown:
            headers.append((b"x-clickhouse-format", shown.encode()))
        headers.append((b"content-type", _content_type(shown)))
        if self._answer.coding:
            self._encoder = encoder(self._answer.coding)
            headers.append((b"content-encoding", self._answer.coding.encode()))
            headers.append((b"vary", b"Accept-Encoding"))
        await self._head(HTTPStatus.OK, headers)

    async def _head(self, status: HTTPStatus, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        self.status = status.value
        await self._send({"type": "http.response.start", "status": status.value, "headers": headers})

    async def _pour(self, held: "SpooledTemporaryFile[bytes]") -> None:
        held.seek(0)
        while piece := held.read(_PIECE):
            await self._body(piece)
        held.seek(0)
        held.truncate()

    async def _body(self, data: bytes) -> None:
        if self._encoder and len(data) > _SMALL:
            data = await asyncio.to_thread(self._encoder.feed, data)
        elif self._encoder:
            data = self._encoder.feed(data)
        if data:
            await self._put(data)

    async def _put(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _finished(self) -> bytes:
        return self._encoder.finish() if self._encoder else b""

    def _late(self, error: EngineError) -> bytes:
        text = error.text.encode(errors="replace")
        tag = self._tag.encode()
        head = b"\r\n__exception__\r\n%s\r\n%s\n" % (tag, text)
        return head + b"%d %s\r\n__exception__\r\n" % (len(text) + 1, tag)

    def _common(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-clickhouse-query-id", self._answer.query_id.encode()),
            (b"x-clickhouse-timezone", self._answer.timezone.encode()),
            (b"x-clickhouse-server-display-name", SERVER_NAME.encode()),
            (b"x-clickhouse-exception-tag", self._tag.encode()),
        ]


def _summary(outcome: Outcome) -> bytes:
    """The counts as text in JSON, as a server sends them; all zero while a result is still being made."""
    counts = {
        "read_rows": outcome.read_rows,
        "read_bytes": outcome.read_bytes,
        "written_rows": outcome.written_rows,
        "written_bytes": outcome.written_bytes,
        "total_rows_to_read": 0,
        "result_rows": outcome.result_rows,
        "result_bytes": outcome.result_bytes,
        "elapsed_ns": round(outcome.elapsed_s * 1e9),
    }
    return json.dumps({name: str(count) for name, count in counts.items()}).encode()


def _content_type(format_name: str) -> bytes:
    for prefix, content_type in _TYPES:
        if format_name.startswith(prefix):
            return content_type.encode()
    return b"application/octet-stream" if format_name else b"text/plain; charset=UTF-8"
