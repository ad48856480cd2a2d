"""The process around both doors: ports, signals, and a delivery that ends before Kafka's client does."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from keytrail.producers.otlp.delivery import PATIENCE_S, Delivery
from keytrail.producers.otlp.http import LIMIT_BYTES, build_app
from keytrail.producers.otlp.intake import Intake
from keytrail.producers.otlp.rpc import start_grpc
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import Settings

_LOG = logging.getLogger("keytrail.otlp")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE_S = PATIENCE_S + 2
_CONNECTIONS = 256


@dataclass(frozen=True)
class OtlpAddresses:
    http: str
    grpc: str


def serve(
    settings: Settings,
    host: str,
    http_port: int,
    grpc_port: int,
    ready: Callable[[OtlpAddresses], None] = lambda _: None,
) -> None:
    """Serves until SIGTERM or SIGINT, and answers what it has begun.  Port 0 takes a free one.

    Call it on the main thread.  `ready` is called once both doors listen.  Kafka may be away meanwhile.
    Raises `UnavailableError` for a port that cannot be had.
    """
    publisher = EventPublisher(settings, client_id="keytrail-otlp")
    with closing(Delivery(publisher)) as delivery, closing(_listen(host, http_port)) as listener:
        intake = Intake(delivery)
        rpc, rpc_port = start_grpc(intake, host, grpc_port, LIMIT_BYTES)
        shown = f"[{host}]" if ":" in host else host
        ready(OtlpAddresses(f"http://{shown}:{listener.getsockname()[1]}", f"{shown}:{rpc_port}"))
        try:
            _Server(build_app(intake)).run(sockets=[listener])
        finally:
            rpc.stop(_GRACE_S).wait()
            _LOG.info("ended: %s", intake.counts)


class _Server(uvicorn.Server):
    """uvicorn, with an end that does not raise the signal again."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=round(_GRACE_S),
            )
        )

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


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            "Stop what uses that port, or choose another --http-port.",
        ) from error
    return listener
