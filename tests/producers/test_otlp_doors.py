"""Both doors' answers, as the OTLP specification has them, with Kafka there and away."""

import gzip
import json
import threading
import zlib
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from otlp_door import AT_NS, LIMIT_BYTES, Answer, Door, FakeKafka, open_door, request_of
from waiting import wait_until

from keytrail.producers.otlp.delivery import Delivery
from keytrail.producers.otlp.mapping import map_traces
from keytrail.producers.publisher import DeliveryError
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.records import Event


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door(FakeKafka()) as opened:
        yield opened


def refusal(answer: Answer) -> Status:
    status: Status = Status.FromString(answer.body)
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert status.message
    return status


def test_binary_is_answered_in_binary(door: Door) -> None:
    answer = door.post("/v1/traces", request_of(keys=2, plain=3).SerializeToString())
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert [event.key_id for event in door.kafka.had] == ["k1", "k1"]
    assert door.counts == {"door": "otlp", "accepted": 2, "ignored": 3, "rejected": 0, "unavailable": 0}


def test_json_is_answered_in_json(door: Door) -> None:
    body = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": str(at),
                                "attributes": [{"key": "keytrail.key_id", "value": {"stringValue": "k1"}}],
                            }
                            for at in (AT_NS, 0)
                        ]
                    }
                ]
            }
        ]
    }
    answer = door.post("/v1/logs", json.dumps(body).encode(), Content_Type="application/json; charset=utf-8")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    partial = json.loads(answer.body)["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert "its time is missing" in partial["errorMessage"]
    assert len(door.kafka.had) == 1


def test_gzip_is_unpacked(door: Door) -> None:
    first, second = (request_of(keys=n).SerializeToString() for n in (1, 2))
    packed = gzip.compress(first) + gzip.compress(second)  # messages one behind the other are one message
    assert door.post("/v1/traces", packed, Content_Encoding="gzip").status == 200
    assert len(door.kafka.had) == 3


def test_what_is_rejected_is_told_and_the_rest_is_taken(door: Door) -> None:
    answer = door.post("/v1/traces", request_of(keys=1, plain=1, broken=2).SerializeToString())
    assert answer.status == 200
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_spans == 2
    assert "Span 'pay'" in partial.error_message
    assert len(door.kafka.had) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\x0a\xff\xff", {}, 400),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"", {"Content_Encoding": "br"}, 415),
        (b"no gzip", {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b"cut off", mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400),
        (bytes(LIMIT_BYTES + 1), {}, 413),
        (gzip.compress(bytes(50_000_000)), {"Content_Encoding": "gzip"}, 413),
    ],
)
def test_what_cannot_be_taken_is_refused_for_good(
    door: Door, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = door.post("/v1/traces", body, **headers)
    assert answer.status == status
    assert "retry-after" not in answer.headers
    assert refusal(answer).code in (3, 8)


def test_a_refusal_of_json_is_json(door: Door) -> None:
    answer = door.post("/v1/traces", b"[", Content_Type="application/json")
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == 3


def test_metrics_and_other_paths_are_refused_with_a_word(door: Door) -> None:
    answer = door.post("/v1/metrics", b"")
    assert answer.status == 404
    assert "OTEL_METRICS_EXPORTER=none" in refusal(answer).message
    assert door.post("/v1/profiles", b"").status == 404
    assert door.ask("GET", "/v1/traces").status == 405


def test_while_kafka_is_away_the_exporter_is_asked_to_come_again(door: Door) -> None:
    door.kafka.there = False
    request = request_of(keys=3).SerializeToString()
    for _ in range(4):
        answer = door.post("/v1/traces", request)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert refusal(answer).code == 14
    assert len(door.kafka.queued) == 3, "repeated requests do not pile up"
    assert door.post("/v1/traces", request_of(keys=0, plain=1).SerializeToString()).status == 200

    door.kafka.there = True
    assert door.post("/v1/traces", request).status == 200
    assert len({event.event_id for event in door.kafka.had}) == 3


def test_a_full_queue_is_no_acknowledgement(door: Door) -> None:
    door.kafka.room = 2
    assert door.post("/v1/traces", request_of(keys=3).SerializeToString()).status == 503
    door.kafka.room = 10
    assert door.post("/v1/traces", request_of(keys=3).SerializeToString()).status == 200


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_answers_as_http_does(door: Door, compression: grpc.Compression) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}", compression=compression) as channel:
        answer = TraceServiceStub(channel).Export(request_of(keys=1, plain=1, broken=1))
        assert answer.partial_success.rejected_spans == 1
        assert "Span 'pay'" in answer.partial_success.error_message
        logs = ExportLogsServiceRequest()
        record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=AT_NS)
        record.attributes.add(key="keytrail.key_id").value.string_value = "k2"
        assert not LogsServiceStub(channel).Export(logs).HasField("partial_success")
    assert [event.key_id for event in door.kafka.had] == ["k1", "k2"]


def test_grpc_refuses_with_the_codes_of_the_specification(door: Door) -> None:
    def code_of(call: object) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as caught:
            call()  # type: ignore[operator]
        code: grpc.StatusCode = caught.value.code()
        return code

    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}", compression=grpc.Compression.Gzip) as channel:
        export = TraceServiceStub(channel).Export
        raw = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert code_of(lambda: raw(b"\x0a\xff\xff")) == grpc.StatusCode.INVALID_ARGUMENT
        assert code_of(lambda: raw(bytes(LIMIT_BYTES + 1))) == grpc.StatusCode.RESOURCE_EXHAUSTED
        metrics = MetricsServiceStub(channel)
        assert code_of(lambda: metrics.Export(ExportMetricsServiceRequest())) == grpc.StatusCode.UNIMPLEMENTED
        door.kafka.there = False
        assert code_of(lambda: export(request_of())) == grpc.StatusCode.UNAVAILABLE
        door.kafka.there = True
        assert not export(request_of()).HasField("partial_success")


def test_requests_that_come_meanwhile_go_together() -> None:
    class SlowKafka(FakeKafka):
        def flush(self, timeout_s: float) -> int:
            entered.set()
            go_on.wait(30)
            return super().flush(timeout_s)

    entered, go_on = threading.Event(), threading.Event()
    kafka = SlowKafka()
    delivery = Delivery(kafka)
    events = map_traces(request_of(keys=1), AT_NS // 1000).events
    callers = [threading.Thread(target=delivery.deliver, args=(events,)) for _ in range(20)]
    callers[0].start()
    entered.wait(30)
    for caller in callers[1:]:
        caller.start()
    wait_until(lambda: delivery.waiting == 19, "all others wait")
    go_on.set()
    for caller in callers:
        caller.join(30)
    delivery.close()
    assert (len(kafka.had), kafka.flushes) == (20, 2)


def test_records_that_kafka_gave_up_are_told_to_their_sender_alone() -> None:
    class RefusingKafka(FakeKafka):
        def flush(self, timeout_s: float) -> int:
            if self.queued and not self.there:
                self.queued.clear()
                raise DeliveryError("keytrail.events", 1, "timed out")
            return super().flush(timeout_s)

    kafka = RefusingKafka(there=False)
    delivery = Delivery(kafka)
    events: list[Event] = map_traces(request_of(), AT_NS // 1000).events
    with pytest.raises(UnavailableError, match="timed out"):
        delivery.deliver(events)
    kafka.there = True
    delivery.deliver(events)
    delivery.close()
    assert len(kafka.had) == 1


def test_a_span_in_json_of_the_sdks_shape_is_read(door: Door) -> None:
    written = json_format.MessageToDict(request_of(), use_integers_for_enums=True)
    span = written["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": "01" * 16, "spanId": "00" * 7 + "01"}
    packed = zlib.compressobj(wbits=31)
    body = packed.compress(json.dumps(written).encode()) + packed.flush()
    answer = door.post("/v1/traces", body, Content_Type="application/json", Content_Encoding="gzip")
    assert (answer.status, json.loads(answer.body)) == (200, {})
    door.post("/v1/traces", request_of().SerializeToString())
    first, second = door.kafka.had
    assert first == second, "both encodings give the same event"
