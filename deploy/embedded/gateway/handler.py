"""The way of one request through the gateway."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from keytrail.deploy.embedded.gateway.access import Access
from keytrail.deploy.embedded.gateway.auditing import Auditing
from keytrail.deploy.embedded.gateway.body import Body, BodyReader, read_all, read_body
from keytrail.deploy.embedded.gateway.coding import decoder
from keytrail.deploy.embedded.gateway.config import MIB, GatewayConfig
from keytrail.deploy.embedded.gateway.engine import Outcome
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.form import ExternalTable, is_form, read_form
from keytrail.deploy.embedded.gateway.incoming import ClientGoneError, Incoming
from keytrail.deploy.embedded.gateway.mending import Mender
from keytrail.deploy.embedded.gateway.query_log import Asker, QueryLog
from keytrail.deploy.embedded.gateway.request import QueryRequest, read_request, url_arguments
from keytrail.deploy.embedded.gateway.respond import Answer, Responder
from keytrail.deploy.embedded.gateway.restriction import confined
from keytrail.deploy.embedded.gateway.run import Runner, Running
from keytrail.deploy.embedded.gateway.statement import Query
from keytrail.schemas.readers import ReaderFile

_LOG = logging.getLogger("keytrail.gateway")
_SKIP_BYTES = 64 * MIB


@dataclass(frozen=True)
class _Work:
    """A request that was read to its end; `asker` is a reader, None for somebody who may do all."""

    body: Body
    request: QueryRequest
    asker: Asker | None
    tables: tuple[ExternalTable, ...] = ()


class Handler:
    """Answers requests that carry a statement; several at once, on one event loop."""

    def __init__(self, config: GatewayConfig, runner: Runner, mender: Mender, timezone: str) -> None:
        self._config = config
        self._mender = mender
        self._runner = runner
        self._timezone = timezone
        readers = ReaderFile(config.reader_file)
        self._access = Access(config.host, config.user, config.password, readers)
        self._auditing = Auditing(QueryLog(config.query_log_dir))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request to its end; an `EngineError` becomes the answer that a server would give."""
        began = time.perf_counter()
        incoming = Incoming(receive)
        responder = Responder(send, Answer("", self._timezone), None, self._config.spool_dir)
        try:
            try:
                work = await self._read(incoming, scope)
                responder = self._responder(send, work)
                await self._serve(incoming, responder, work)
            except OSError as error:
                _LOG.error("a request failed: %s", error.strerror)
                refusal = _no_room(error)
                self._mender.hear(refusal)
                await self._refuse(incoming, responder, refusal)
            except EngineError as error:
                self._mender.hear(error)
                await self._refuse(incoming, responder, error)
        except ClientGoneError:
            _LOG.debug("%s: the client went away", scope["method"])
            return
        except asyncio.CancelledError:
            # Only the end of the process does this, and nothing is above that would want to know.
            _LOG.warning("a request was cut off by the end of the gateway")
            return
        elapsed_ms = (time.perf_counter() - began) * 1000
        _LOG.debug("%s %s in %.0f ms", scope["method"], responder.status, elapsed_ms)

    async def _read(self, incoming: Incoming, scope: Scope) -> _Work:
        headers, method = Headers(scope=scope), str(scope["method"])
        arguments: Mapping[str, str] = url_arguments(scope["query_string"])
        reader = self._access.check(headers, arguments)
        address, _port = scope.get("client") or ("", 0)
        asker = None if reader is None else Asker(reader, address, headers.get("user-agent", ""))
        coding = decoder(headers.get("content-encoding", ""))
        limit = self._config.max_body_bytes
        if not is_form(headers.get("content-type", "")):
            request = read_request(arguments, headers, method)
            body = BodyReader(request.query, coding, limit, self._config.spool_dir)
            return _Work(await read_body(incoming.body(), body), request, asker)
        content = await read_all(incoming.body(), coding, limit)
        form = read_form(headers["content-type"], content, arguments)
        request = read_request(form.arguments, headers, method)
        body = BodyReader(request.query, decoder(""), limit, self._config.spool_dir)
        return _Work(body.finish(), request, asker, form.tables)

    def _responder(self, send: Send, work: _Work) -> Responder:
        statement, request = work.body.statement, work.request
        shown = ""
        if isinstance(statement, Query) and (statement.has_result or statement.format):
            shown = statement.format or request.default_format
        answer = Answer(request.query_id, self._timezone, shown, request.default_format, request.coding)
        return Responder(send, answer, request.hold_bytes, self._config.spool_dir)

    async def _serve(self, incoming: Incoming, responder: Responder, work: _Work) -> None:
        """Runs the statement for as long as the client is there."""
        gone = asyncio.ensure_future(incoming.gone())
        serving = asyncio.ensure_future(self._run(responder, work))
        try:
            await asyncio.wait({gone, serving}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                raise ClientGoneError
            serving.result()
        finally:
            gone.cancel()
            serving.cancel()

    async def _run(self, responder: Responder, work: _Work) -> None:
        if work.asker is None:
            await self._answer(responder, work)
            return
        async with self._auditing.of(work.asker, work.body.statement.shown) as succeeded:
            request = confined(work.request, self._config.database, with_tables=bool(work.tables))
            succeeded(await self._answer(responder, replace(work, request=request)))

    async def _answer(self, responder: Responder, work: _Work) -> Outcome:
        running: Running | None = None
        reader = work.asker.reader if work.asker else None
        try:
            running = await self._runner.start(work.body, work.request, work.tables, reader)
            await responder.result(running.chunks(), running.future)
            return await running.outcome()
        finally:
            if running:
                self._runner.abandon(running)

    async def _refuse(self, incoming: Incoming, responder: Responder, error: EngineError) -> None:
        if not responder.started:
            await incoming.skip(_SKIP_BYTES)
            await responder.error(error)


def _no_room(error: OSError) -> EngineError:
    return EngineError.of(
        ErrorCode.UNKNOWN_EXCEPTION, f"The gateway cannot use its data directory: {error.strerror}."
    )
