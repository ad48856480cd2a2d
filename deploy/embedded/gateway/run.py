"""Runs statements in threads: a bounded number at once, results streamed through a pipe, all stoppable."""

import asyncio
import contextlib
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from keytrail.deploy.embedded.gateway.body import Body
from keytrail.deploy.embedded.gateway.config import MIB, GatewayConfig
from keytrail.deploy.embedded.gateway.engine import Engine, EngineConnection, Outcome
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.form import ExternalTable, external_tables
from keytrail.deploy.embedded.gateway.mending import Mender
from keytrail.deploy.embedded.gateway.request import QueryRequest
from keytrail.deploy.embedded.gateway.restriction import restrict
from keytrail.deploy.embedded.gateway.session import Sessions
from keytrail.deploy.embedded.gateway.statement import Query
from keytrail.schemas.readers import Reader

_CHUNK_BYTES = 256 * 1024
_STOP_AGAIN_S = 0.3
_MARK = "keytrail-request:"


class _Lane:
    """`size` statements at once, each in a thread of its own."""

    def __init__(self, name: str, size: int) -> None:
        self.places = asyncio.Semaphore(size)
        self.threads = ThreadPoolExecutor(size, thread_name_prefix=name)


@dataclass(frozen=True)
class _Job:
    body: Body
    request: QueryRequest
    tables: Sequence[ExternalTable]
    marker: str
    result_fd: int
    reader: Reader | None

    def release(self) -> None:
        if self.body.rows:
            self.body.rows.close()
        if self.result_fd >= 0:
            os.close(self.result_fd)


class Running:
    """A statement that was handed to the engine."""

    def __init__(self, future: "asyncio.Future[Outcome]", marker: str, *, stoppable: bool) -> None:
        self.future = future
        self.marker = marker
        self.stoppable = stoppable
        self._reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
        self._pipe: asyncio.ReadTransport | None = None

    async def open(self, source: int) -> None:
        """Takes the result from the pipe `source`, and owns it from here on."""
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(source, "rb", buffering=0)
        )

    def close(self) -> None:
        """Takes nothing more; the engine does not wait for a reader any longer."""
        if self._pipe:
            self._pipe.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The result as the engine makes it, to be read once; the engine waits while nobody reads."""
        if self._pipe:
            while chunk := await self._reader.read(_CHUNK_BYTES):
                yield chunk
        outcome = await self.outcome()
        if outcome.data:
            yield outcome.data

    async def outcome(self) -> Outcome:
        """What it gave, when it is over; raises `EngineError` where it failed."""
        await asyncio.wait({self.future})
        return self.future.result()


class Runner:
    """Runs statements for one gateway; used on one event loop."""

    def __init__(self, engine: Engine, sessions: Sessions, mender: Mender, config: GatewayConfig) -> None:
        self._engine = engine
        self._sessions = sessions
        self._mender = mender
        self._config = config
        self._readers = _Lane("reader", config.readers)
        self._writers = _Lane("writer", config.writers)
        self._active: set[asyncio.Future[Outcome]] = set()
        self._stops: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(
        self,
        body: Body,
        request: QueryRequest,
        tables: Sequence[ExternalTable],
        reader: Reader | None = None,
    ) -> Running:
        """Hands the statement to the engine when a place is free; closes `body.rows` in any case.

        With `reader`, it does no more than that reader may.

        Reads and writes have places of their own, so a crowd of scans does not hold up an insert.
        Raises `EngineError` (code 202) where no place becomes free in time.
        """
        statement = body.statement
        reads = isinstance(statement, Query) and statement.has_result
        lane = self._readers if reads else self._writers
        source = target = -1
        try:
            if isinstance(statement, Query) and statement.selects:
                source, target = _result_pipe()
            await self._take_place(lane)
        except BaseException:
            _Job(body, request, tables, "", target, reader).release()
            if source >= 0:
                os.close(source)
            raise
        job = _Job(body, request, tables, f"{_MARK}{uuid.uuid4().hex}", target, reader)
        future = asyncio.get_running_loop().run_in_executor(lane.threads, self._work, job)
        self._active.add(future)
        future.add_done_callback(lambda done: self._over(done, lane))
        running = Running(future, job.marker, stoppable=reads)
        try:
            if source >= 0:
                await running.open(source)
        except BaseException:
            self.abandon(running)
            raise
        return running

    def abandon(self, running: Running) -> None:
        """For when nobody waits for the result any more: a reading statement is stopped, others go on.

        The place is free again when the engine has really ended.
        """
        running.close()
        if running.stoppable and not running.future.done():
            task = asyncio.create_task(self._stop(running.marker, {running.future}))
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)

    async def close(self) -> None:
        """Takes nothing new, stops what still runs and waits for its end."""
        self._closing = True
        while self._active:
            await self._stop(_MARK, set(self._active))
        await asyncio.gather(*self._stops)
        for lane in (self._readers, self._writers):
            lane.threads.shutdown()

    async def _take_place(self, lane: _Lane) -> None:
        try:
            async with asyncio.timeout(self._config.queue_timeout_s):
                await lane.places.acquire()
        except TimeoutError as error:
            raise EngineError.of(
                ErrorCode.TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries: no place within {self._config.queue_timeout_s:g} seconds.",
            ) from error
        if self._closing:
            lane.places.release()
            raise EngineError.of(ErrorCode.ABORTED, "The gateway is shutting down.")

    def _over(self, future: "asyncio.Future[Outcome]", lane: _Lane) -> None:
        self._active.discard(future)
        lane.places.release()
        future.exception()  # so that the error of an abandoned statement is not reported as unseen

    async def _stop(self, marker: str, futures: "set[asyncio.Future[Outcome]]") -> None:
        """Asks again until all are over: a statement that is only just beginning is not yet known."""
        while futures and not all(future.done() for future in futures):
            await asyncio.to_thread(self._engine.stop, marker)
            await asyncio.wait(set(futures), timeout=_STOP_AGAIN_S)

    def _work(self, job: _Job) -> Outcome:
        """One statement from begin to end, in a thread of its lane."""
        statement = job.body.statement
        changes_session = isinstance(statement, Query) and statement.changes_session
        try:
            with (
                self._sessions.connection(job.request, changes_session=changes_session) as connection,
                external_tables(connection, job.tables, self._config.spool_dir),
            ):
                if job.reader is None:
                    return self._execute(connection, job)
                statement = restrict(
                    connection, job.reader, self._config.database, job.body.statement, job.request.params
                )
                return self._execute(connection, replace(job, body=Body(statement)))
        finally:
            job.release()

    def _execute(self, connection: EngineConnection, job: _Job) -> Outcome:
        statement = job.body.statement
        if isinstance(statement, Query) and (statement.has_result or statement.changes_session):
            return self._run(connection, job)
        self._mender.before_writing()
        try:
            return self._run(connection, job)
        except EngineError as error:
            self._mender.hear(error)
            raise
        finally:
            # Whatever came of it: of an INSERT into several months some parts may be there.
            self._mender.after_writing()

    def _run(self, connection: EngineConnection, job: _Job) -> Outcome:
        statement, request = job.body.statement, job.request
        note = f"\n-- {job.marker}".encode()
        if not isinstance(statement, Query):
            if request.read_only or not job.body.rows:
                raise _read_only()
            job.body.rows.flush()
            path = f"/dev/fd/{job.body.rows.fileno()}"
            return connection.run(statement.reading(path) + note, "Null", request.params)
        reads_only = connection.reads_only(statement.text)
        if reads_only is None:
            return self._explain(statement, request)
        if request.read_only and not reads_only and not statement.changes_session:
            raise _read_only()
        if reads_only and job.result_fd >= 0:
            streamed = statement.writing(f"/dev/fd/{job.result_fd}", request.default_format)
            # Where FORMAT was a name after all, the rewritten text is no SQL: then take the result whole.
            if connection.reads_only(streamed) is not None:
                return connection.run(streamed + note, "Null", request.params)
        return connection.run(statement.text + note, request.default_format, request.params)

    def _explain(self, statement: Query, request: QueryRequest) -> Outcome:
        """Has the engine say what is wrong with text that it cannot parse; nothing can change meanwhile."""
        with self._engine.connect() as connection:
            connection.set({**request.settings, "readonly": "2"})
            return connection.run(statement.text, request.default_format, request.params)


def _result_pipe() -> tuple[int, int]:
    """Its ends to read and to write, with more room than the usual 64 KiB where that is allowed."""
    source, target = os.pipe()
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, MIB)
    return source, target


def _read_only() -> EngineError:
    return EngineError.of(
        ErrorCode.READONLY,
        "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
        "You should use method POST for modifying queries.",
    )
