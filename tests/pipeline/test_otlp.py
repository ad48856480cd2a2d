"""OpenTelemetry's own SDK and exporters, through the whole pipeline."""

import gzip
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator

import grpc
import psutil
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode
from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until

from keytrail.deploy.embedded.state import read_parts
from keytrail.schemas.settings import read_stack

RESOURCE = Resource.create({"service.name": "billing", "deployment.environment.name": "production"})


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_stack(tmp_path_factory.mktemp("otlp") / "data", workers=1, sinks=1, otlp=True) as settings:
        yield Pipeline(settings)


def http_url(pipeline: Pipeline) -> str:
    return read_stack(pipeline.data_dir)["otlp_http"]


def grpc_address(pipeline: Pipeline) -> str:
    return read_stack(pipeline.data_dir)["otlp_grpc"]


def over_http(pipeline: Pipeline) -> SpanExporter:
    return OTLPSpanExporter(f"{http_url(pipeline)}/v1/traces", compression=Compression.Gzip)


def over_grpc(pipeline: Pipeline) -> SpanExporter:
    return GrpcSpanExporter(grpc_address(pipeline), insecure=True, compression=grpc.Compression.Gzip)


def rows_with(pipeline: Pipeline, key_id: str) -> list[dict[str, object]]:
    query = "SELECT * FROM events WHERE key_id = {key:String} ORDER BY occurred_at, event_id"
    return [dict(row) for row in pipeline.clickhouse.rows(query, params={"key": key_id})]


def wait_for_key(pipeline: Pipeline, key_id: str, count: int) -> list[dict[str, object]]:
    wait_until(lambda: len(rows_with(pipeline, key_id)) >= count, f"{count} rows of {key_id}")
    return rows_with(pipeline, key_id)


@pytest.mark.parametrize("exporter", [over_http, over_grpc])
def test_the_sdks_spans_are_rows(pipeline: Pipeline, exporter: Callable[[Pipeline], SpanExporter]) -> None:
    key = f"key-{exporter.__name__}"
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter(pipeline)))
    tracer = provider.get_tracer("tests")
    with (
        tracer.start_as_current_span(
            "pay", attributes={"keytrail.key_id": key, "enduser.id": "anna"}
        ) as outer,
        tracer.start_as_current_span("no key"),
        tracer.start_as_current_span("refund", attributes={"keytrail.key_id": key}) as inner,
    ):
        inner.set_status(StatusCode.ERROR, "no money")
    provider.shutdown()

    pay, refund = wait_for_key(pipeline, key, 2)
    assert (pay["resource"], pay["actor_id"], pay["outcome"]) == ("pay", "anna", "success")
    assert (refund["resource"], refund["outcome"], refund["error"]) == ("refund", "failure", "no money")
    assert pay["trace_id"] == refund["trace_id"] == f"{outer.get_span_context().trace_id:032x}"
    assert refund["span_id"] == f"{inner.get_span_context().span_id:016x}"
    assert (pay["service"], pay["environment"], pay["key_status"]) == ("billing", "production", "unknown")


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_the_sdks_log_records_are_rows(pipeline: Pipeline, door: str) -> None:
    key = f"key-log-{door}"
    provider = LoggerProvider(resource=RESOURCE)
    exporter = (
        OTLPLogExporter(f"{http_url(pipeline)}/v1/logs", compression=Compression.Gzip)
        if door == "http"
        else GrpcLogExporter(grpc_address(pipeline), insecure=True)
    )
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    provider.get_logger("tests").emit(
        timestamp=time.time_ns(),
        severity_number=SeverityNumber.INFO,
        body="role given",
        attributes={"keytrail.key_id": key, "keytrail.action": "grant", "keytrail.subject": "bob"},
    )
    provider.shutdown()
    [row] = wait_for_key(pipeline, key, 1)
    assert (row["action"], row["subject"], row["service"]) == ("grant", "bob", "billing")


def post_json(pipeline: Pipeline, key: str, spans: int) -> dict[str, object]:
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": f"{number + 1:016x}",
                                "name": "click",
                                "startTimeUnixNano": str(time.time_ns()),
                                "attributes": [{"key": "keytrail.key_id", "value": {"stringValue": key}}],
                            }
                            for number in range(spans)
                        ]
                    }
                ],
            }
        ]
    }
    request = urllib.request.Request(  # noqa: S310 - our own
        f"{http_url(pipeline)}/v1/traces",
        gzip.compress(json.dumps(body).encode()),
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        answer: dict[str, object] = json.load(response)
    return answer


def test_json_sent_again_counts_once(pipeline: Pipeline) -> None:
    for _ in range(3):
        assert post_json(pipeline, "key-json", 20) == {}
    assert post_json(pipeline, "key-json-after", 1) == {}
    wait_for_key(pipeline, "key-json", 20)
    wait_for_key(pipeline, "key-json-after", 1)
    assert pipeline.command("status", "--check") == 0
    assert len(rows_with(pipeline, "key-json")) == 20


def test_while_kafka_is_away_the_exporter_comes_again_and_nothing_is_lost(pipeline: Pipeline) -> None:
    """Kafka stands still; the SDK's exporter gets 503 and repeats by itself until it goes on."""
    kafka = next(part.pid for part in read_parts(pipeline.data_dir) if part.name == "kafka")
    provider = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(f"{http_url(pipeline)}/v1/traces", timeout=60)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    os.kill(kafka, signal.SIGSTOP)
    try:
        wait_until(lambda: psutil.Process(kafka).status() == psutil.STATUS_STOPPED, "Kafka stands still")
        for number in range(10):
            span = provider.get_tracer("tests").start_span(f"s{number}")
            span.set_attribute("keytrail.key_id", "key-outage")
            span.end()
        with urllib.request.urlopen(f"{http_url(pipeline)}/") as response:  # noqa: S310
            before = json.load(response)["unavailable"]

        def refused() -> bool:
            with urllib.request.urlopen(f"{http_url(pipeline)}/") as response:  # noqa: S310
                return bool(json.load(response)["unavailable"] > before)

        wait_until(refused, "a request was asked to come again")
    finally:
        os.kill(kafka, signal.SIGCONT)
    assert provider.force_flush(60_000)
    provider.shutdown()
    assert len(wait_for_key(pipeline, "key-outage", 10)) == 10
