"""The HTTP and gRPC doors in this process, before an outlet of the test's own; and requests to them."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from waiting import wait_until

from keytrail.producers.otlp.delivery import Delivery
from keytrail.producers.otlp.http import build_app
from keytrail.producers.otlp.intake import Intake
from keytrail.producers.otlp.rpc import start_grpc
from keytrail.schemas.records import Event, Micros

NOW: Micros = 1_764_100_000_000_000
AT_NS = (NOW - 5_000_000) * 1000
LIMIT_BYTES = 200_000


@dataclass
class FakeKafka:
    """Acknowledges what it is given while it is `there`; `had` is what it acknowledged."""

    there: bool = True
    room: int = 1_000_000
    had: list[Event] = field(default_factory=list)
    queued: list[Event] = field(default_factory=list)
    flushes: int = 0

    def publish(self, record: Event) -> bool:
        if len(self.queued) >= self.room:
            return False
        self.queued.append(record)
        return True

    def check(self) -> None: ...

    def flush(self, timeout_s: float) -> int:
        self.flushes += 1
        if self.there:
            self.had += self.queued
            self.queued.clear()
        return len(self.queued)


@dataclass
class Door:
    kafka: FakeKafka
    port: int
    grpc_port: int

    def post(self, path: str, body: bytes, **headers: str) -> "Answer":
        """Names with `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": "application/x-protobuf", **given})

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> "Answer":
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())

    @property
    def counts(self) -> dict[str, object]:
        counts: dict[str, object] = json.loads(self.ask("GET", "/").body)
        return counts


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def open_door(kafka: FakeKafka, patience_s: float = 0.05) -> Iterator[Door]:
    with closing(Delivery(kafka, patience_s)) as delivery:
        intake = Intake(delivery, clock=lambda: NOW)
        rpc, grpc_port = start_grpc(intake, "127.0.0.1", 0, LIMIT_BYTES)
        config = uvicorn.Config(build_app(intake, LIMIT_BYTES), port=0, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started, "uvicorn listens")
            [listener] = server.servers[0].sockets
            yield Door(kafka, listener.getsockname()[1], grpc_port)
        finally:
            server.should_exit = True
            thread.join(30)
            rpc.stop(0).wait()


def request_of(keys: int = 1, plain: int = 0, broken: int = 0) -> ExportTraceServiceRequest:
    """Spans that carry a key, that carry none, and that carry one and have no time."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "billing"
    spans = group.scope_spans.add().spans
    for number in range(keys + plain + broken):
        span = spans.add(name="pay", trace_id=bytes([1] * 16), span_id=(number + 1).to_bytes(8, "big"))
        span.start_time_unix_nano = 0 if number >= keys + plain else AT_NS
        if not keys <= number < keys + plain:
            span.attributes.add(key="keytrail.key_id").value.string_value = "k1"
    return request
