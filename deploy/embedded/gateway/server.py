"""The process around the gateway: the data directory's lock, the port, signals, the event loop."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn

from keytrail.deploy.embedded.gateway.app import build_app
from keytrail.deploy.embedded.gateway.config import MIB, GatewayConfig
from keytrail.deploy.embedded.gateway.engine import Engine
from keytrail.deploy.embedded.gateway.errors import EngineError
from keytrail.deploy.embedded.gateway.handler import Handler
from keytrail.deploy.embedded.gateway.lock import DirectoryLock
from keytrail.deploy.embedded.gateway.mending import Mender
from keytrail.deploy.embedded.gateway.run import Runner
from keytrail.deploy.embedded.gateway.session import Sessions
from keytrail.schemas.errors import UnavailableError

_LOG = logging.getLogger("keytrail.gateway")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_KEEP_ALIVE_S = 60
# For clients that do not read the end of their answer.
_STALLED_S = 5
# A statement may stand in the URL, up to the length that a server takes.
_MAX_HEAD_BYTES = MIB + 64 * 1024


def serve(config: GatewayConfig) -> None:
    """Serves until SIGTERM or SIGINT, then lets running statements end and closes the data.

    Blocks; to be called in the main thread, once in a process.  Raises `UnavailableError` where the data
    directory or the port is taken or the data cannot be opened; a signal before that is `SystemExit(0)`.
    """
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    with (
        DirectoryLock(config.data_dir),
        _listen(config.host, config.port) as listener,
        closing(_open_engine(config)) as engine,
        closing(Sessions(engine)) as sessions,
    ):
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _LOG.info("ClickHouse %s on http://%s:%d, data in %s", engine.version, shown, port, config.data_dir)
        mender = Mender(config.data_dir)
        runner = Runner(engine, sessions, mender, config)
        handler = Handler(config, runner, mender, engine.timezone)
        _Server(config, handler, runner).run(sockets=[listener])
    _LOG.info("closed the data in %s", config.data_dir)


class _Server(uvicorn.Server):
    """uvicorn, with an end that stops what runs too long and that does not raise the signal again."""

    def __init__(self, config: GatewayConfig, handler: Handler, runner: Runner) -> None:
        super().__init__(
            uvicorn.Config(
                build_app(handler),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(config.drain_timeout_s) + _STALLED_S,
                h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            )
        )
        self._drain_timeout_s = config.drain_timeout_s
        self._runner = runner

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping = asyncio.create_task(self._stop_late_ones())
        await super().shutdown(sockets)
        stopping.cancel()
        await self._runner.close()

    async def _stop_late_ones(self) -> None:
        await asyncio.sleep(self._drain_timeout_s)
        _LOG.warning("stopping what still runs after %g seconds", self._drain_timeout_s)
        await self._runner.close()


def _open_engine(config: GatewayConfig) -> Engine:
    try:
        config.spool_dir.mkdir(exist_ok=True)
        return Engine(config.engine_dir)
    except (EngineError, OSError) as error:
        raise UnavailableError(
            f"The engine cannot open the data in {config.data_dir}: {error}.",
            "Move that folder away and start with an empty one, or restore it from a backup.",
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            "Stop what uses that port, or choose another --port.",
        ) from error
    return listener
