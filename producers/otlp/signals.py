"""The two signals that are taken, traces and logs: their messages, in OTLP's binary and JSON encodings.

OTLP's JSON is protobuf's JSON but for three things: trace and span ids are hex, enums are numbers, and names
that are not known are ignored.  Source: the OTLP specification 1.x, "JSON Protobuf Encoding".
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from keytrail.producers.otlp.mapping import Mapped, map_logs, map_traces
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros

_ID_NAMES = ("traceId", "spanId", "parentSpanId")
# What a parser of hostile JSON, and protobuf's own, raise.
_UNREADABLE = (json_format.ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


class RequestError(KeytrailError):
    """A request's body is not what it is said to be; sending it again does not help."""


@dataclass(frozen=True)
class Signal:
    """`name` as in the URL; `levels` are the JSON names that lead to the items."""

    name: str
    service: str
    request: type[Message]
    levels: tuple[str, str, str]
    map: Callable[[Message, Micros], Mapped]
    response: Callable[[Mapped], Message]

    def of_binary(self, body: bytes) -> Message:
        """Raises `RequestError`."""
        request = self.request()
        try:
            request.ParseFromString(body)
        except DecodeError as error:
            raise RequestError(f"The body is no {request.DESCRIPTOR.name}.") from error
        return request

    def of_json(self, body: bytes) -> Message:
        """Raises `RequestError`."""
        request = self.request()
        try:
            parsed = json.loads(body)
            if not isinstance(parsed, dict):
                raise TypeError
            for item in self._items(parsed):
                _ids_to_base64(item)
            json_format.ParseDict(parsed, request, ignore_unknown_fields=True)
        except _UNREADABLE as error:
            raise RequestError(
                f"The body is no {request.DESCRIPTOR.name} in JSON ({type(error).__name__})."
            ) from error
        return request

    def _items(self, parsed: object) -> Iterator[dict[str, object]]:
        """Spans with their links, or log records."""
        found = [parsed]
        for level in self.levels:
            found = [item for node in found for item in _list_in(node, level)]
        for item in found:
            if isinstance(item, dict):
                yield item
                yield from (link for link in _list_in(item, "links") if isinstance(link, dict))


def _trace_response(mapped: Mapped) -> Message:
    response = ExportTraceServiceResponse()
    if mapped.rejected:
        response.partial_success.rejected_spans = mapped.rejected
        response.partial_success.error_message = mapped.complaint
    return response


def _logs_response(mapped: Mapped) -> Message:
    response = ExportLogsServiceResponse()
    if mapped.rejected:
        response.partial_success.rejected_log_records = mapped.rejected
        response.partial_success.error_message = mapped.complaint
    return response


TRACES = Signal(
    "traces",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    ExportTraceServiceRequest,
    ("resourceSpans", "scopeSpans", "spans"),
    map_traces,
    _trace_response,
)
LOGS = Signal(
    "logs",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    ExportLogsServiceRequest,
    ("resourceLogs", "scopeLogs", "logRecords"),
    map_logs,
    _logs_response,
)


def _list_in(node: object, name: str) -> list[object]:
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, list) else []


def _ids_to_base64(item: dict[str, object]) -> None:
    for name in _ID_NAMES:
        if isinstance(text := item.get(name), str):
            item[name] = base64.b64encode(bytes.fromhex(text)).decode()
