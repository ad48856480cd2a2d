"""A TCP proxy that misbehaves on command: cuts, delays, holds back, or cuts once a request went through."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any

HOST = "127.0.0.1"
_CHUNK = 1 << 16
_CALL_TIMEOUT_S = 30.0


class Mode(Enum):
    PASS = "pass"
    CUT = "cut"
    DELAY = "delay"
    BLACKHOLE = "blackhole"
    CUT_ANSWERS = "cut-after-request"


class Proxy:
    """Forwards `127.0.0.1:port` to a port of the same host.  `set` may be called from any thread."""

    def __init__(self, name: str, port: int, target_port: int) -> None:
        self.name = name
        self.port = port
        self._target_port = target_port
        self._mode = Mode.PASS
        self._delay_s = 0.0
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._cut_all()

    async def set(self, mode: Mode, delay_s: float = 0.0) -> None:
        """From now on behave so.  CUT ends what is open and refuses what comes; CUT_ANSWERS ends a
        connection when its next answer comes; BLACKHOLE holds everything back, in both directions;
        DELAY holds each piece back for `delay_s`."""
        self._mode, self._delay_s = mode, delay_s
        self._changed.set()
        self._changed = asyncio.Event()
        if mode is Mode.CUT:
            self._cut_all()

    def _cut_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.CUT:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, back)
        self._open.update(both)
        try:
            await asyncio.gather(
                self._copy(reader, back, is_answer=False), self._copy(there, writer, is_answer=True)
            )
        finally:
            self._open.difference_update(both)
            for each in both:
                each.transport.abort()

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                while self._mode is Mode.BLACKHOLE:
                    await self._changed.wait()
                if self._mode is Mode.DELAY:
                    await asyncio.sleep(self._delay_s)
                if is_answer and self._mode is Mode.CUT_ANSWERS:
                    break
                sink.write(data)
                await sink.drain()
        for writer in self._open & {sink}:
            writer.transport.abort() if is_answer and self._mode is Mode.CUT_ANSWERS else _end(writer)


class Loop:
    """An event loop in a thread of its own; `call` runs a coroutine on it and waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults-loop", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, Any], timeout_s: float = _CALL_TIMEOUT_S) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_TIMEOUT_S)


def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
