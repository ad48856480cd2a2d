"""OTLP/gRPC: TraceService and LogsService, plain and gzip."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc

from keytrail.producers.otlp.intake import Intake
from keytrail.producers.otlp.signals import LOGS, TRACES, RequestError, Signal
from keytrail.schemas.errors import KeytrailError, UnavailableError

_METRICS = "opentelemetry.proto.collector.metrics.v1.MetricsService"
_AT_ONCE = 8

_Answer = Callable[[bytes, grpc.ServicerContext], bytes]


def start_grpc(intake: Intake, host: str, port: int, limit_bytes: int) -> tuple[grpc.Server, int]:
    """A server that listens already, and its port (a free one for 0).

    Raises `UnavailableError` where the port cannot be had.
    """
    server = grpc.server(
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="otlp-grpc"),
        options=[
            ("grpc.max_receive_message_length", limit_bytes),
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", 4 * _AT_ONCE),
        ],
    )
    for service, answer in (
        (TRACES.service, _export(intake, TRACES)),
        (LOGS.service, _export(intake, LOGS)),
        (_METRICS, _no_metrics),
    ):
        # Bytes in and out: what cannot be parsed is then refused as the protocol says, and not by gRPC.
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    shown = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError as error:
        raise UnavailableError(
            f"Cannot listen on {shown}:{port}.", "Stop what uses that port, or choose another --grpc-port."
        ) from error
    server.start()
    return server, bound


def _export(intake: Intake, signal: Signal) -> _Answer:
    def answer(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            response: bytes = intake.take(signal, signal.of_binary(body)).SerializeToString()
        except RequestError as error:
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except KeytrailError as error:
            _refuse(context, grpc.StatusCode.UNAVAILABLE, str(error))
        return response

    return answer


def _no_metrics(_body: bytes, context: grpc.ServicerContext) -> bytes:
    _refuse(context, grpc.StatusCode.UNIMPLEMENTED, "Metrics are not taken here: no metric is an event.")


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")
