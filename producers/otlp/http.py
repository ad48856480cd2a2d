"""OTLP/HTTP: `POST /v1/traces` and `/v1/logs`, binary and JSON, plain and gzip.

Answers as the OTLP specification 1.x says: 200 with what was rejected in `partial_success`; 503 with
Retry-After where the same request may be sent again; any other status for one that is refused for good.  The
body of a refusal is a google.rpc.Status in the encoding of the request.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keytrail.producers.otlp.intake import Intake
from keytrail.producers.otlp.signals import LOGS, TRACES, RequestError, Signal
from keytrail.schemas.errors import KeytrailError, UnavailableError

LIMIT_BYTES = 16 * 1024 * 1024
RETRY_AFTER_S = 5
_BINARY, _JSON = "application/x-protobuf", "application/json"
_AT_ONCE = 8
_GZIP = 16 + zlib.MAX_WBITS
# google.rpc.Code
_INVALID_ARGUMENT, _RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 3, 8, 12, 13, 14
_CODES = {
    404: _UNIMPLEMENTED,
    405: _UNIMPLEMENTED,
    413: _RESOURCE_EXHAUSTED,
    500: _INTERNAL,
    503: _UNAVAILABLE,
}
_NO_METRICS = "Metrics are not taken here: no metric is an event. Set OTEL_METRICS_EXPORTER=none."


@dataclass(frozen=True)
class _Encoding:
    media_type: str
    read: Callable[[Signal, bytes], Message]
    write: Callable[[Message], bytes]


_ENCODINGS = {
    _BINARY: _Encoding(_BINARY, Signal.of_binary, lambda message: message.SerializeToString()),
    _JSON: _Encoding(
        _JSON, Signal.of_json, lambda message: json_format.MessageToJson(message, indent=None).encode()
    ),
}


def build_app(intake: Intake, limit_bytes: int = LIMIT_BYTES) -> Starlette:
    """The ASGI application; a body may have `limit_bytes`, unpacked."""
    places: list[CapacityLimiter] = []

    def limiter() -> CapacityLimiter:
        if not places:  # it belongs to the event loop
            places.append(CapacityLimiter(_AT_ONCE))
        return places[0]

    def route(signal: Signal) -> Route:
        async def endpoint(request: Request) -> Response:
            encoding = _encoding_of(request)
            body = await _read(request, limit_bytes)

            def answer() -> bytes:
                return encoding.write(intake.take(signal, encoding.read(signal, body)))

            content = await to_thread.run_sync(answer, limiter=limiter())
            return Response(content, media_type=encoding.media_type)

        return Route(f"/v1/{signal.name}", endpoint, methods=["POST"])

    async def metrics(_request: Request) -> Response:
        raise HTTPException(404, _NO_METRICS)

    async def about(_request: Request) -> Response:
        return JSONResponse({"door": "otlp", **intake.counts})

    return Starlette(
        routes=[
            route(TRACES),
            route(LOGS),
            Route("/v1/metrics", metrics, methods=["POST"]),
            Route("/", about),
        ],
        exception_handlers={
            HTTPException: _refused,
            RequestError: _refused,
            UnavailableError: _refused,
            ClientDisconnect: _refused,
            Exception: _refused,
        },
    )


def _encoding_of(request: Request) -> _Encoding:
    # A web page of another origin can send neither type without asking first, and is not answered.
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if stated not in _ENCODINGS:
        raise HTTPException(415, f"The Content-Type must be {_BINARY} or {_JSON}.")
    return _ENCODINGS[stated]


async def _read(request: Request, limit_bytes: int) -> bytes:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity", ""):
        raise HTTPException(415, "The Content-Encoding must be gzip, or none.")
    unpack = _Unpacker(limit_bytes) if coding == "gzip" else None
    content = bytearray()
    async for chunk in request.stream():
        content += unpack(chunk) if unpack else chunk
        if len(content) > limit_bytes:
            raise HTTPException(413, f"The body is larger than {limit_bytes} bytes. Send smaller batches.")
    if unpack and not unpack.is_whole:
        raise HTTPException(400, "The gzip data is cut off.")
    return bytes(content)


class _Unpacker:
    """Never gives more than a byte above `limit_bytes` at once, however well that was packed."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._inflate = zlib.decompressobj(_GZIP)

    def __call__(self, packed: bytes) -> bytes:
        unpacked = b""
        try:
            while packed and len(unpacked) <= self._limit_bytes:
                if self._inflate.eof:  # one gzip file may follow another
                    self._inflate = zlib.decompressobj(_GZIP)
                unpacked += self._inflate.decompress(packed, self._limit_bytes + 1)
                packed = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise HTTPException(400, "The body is not gzip.") from error
        return unpacked

    @property
    def is_whole(self) -> bool:
        return self._inflate.eof


async def _refused(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            status, message = error.status_code, error.detail
        case RequestError():
            status, message = 400, str(error)
        case KeytrailError():
            status, message = 503, str(error)
        case _:
            status, message = 500, "The receiver failed on this request; its log says how."
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    code = _CODES.get(status, _INVALID_ARGUMENT)
    if "json" in request.headers.get("content-type", ""):
        return JSONResponse({"code": code, "message": message}, status, headers)
    return Response(_status(code, message), status, headers, _BINARY)


def _status(code: int, message: str) -> bytes:
    """A google.rpc.Status: 1 is its code, 2 its message.  Written by hand to spare a package."""
    text = message.encode()[:4096]
    return bytes((0x08, code, 0x12, *_varint(len(text)))) + text


def _varint(number: int) -> bytes:
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, *_varint(number >> 7)))
