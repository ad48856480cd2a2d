"""Whatever spans, log records, JSON and bytes come in: each becomes events, is counted, or is refused."""

import json
import uuid

from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.otlp.mapping import Mapped, map_logs, map_traces
from keytrail.producers.otlp.signals import TRACES, RequestError
from keytrail.schemas import avro
from keytrail.schemas.signature import SigningKey

NOW = 1_764_100_000_000_000
KEY = SigningKey("key-finance-7", "m1", 1, bytes(32))

ANY_TEXT = st.text(max_size=12)
NAMES = st.one_of(
    st.sampled_from(
        [f"keytrail.{name}" for name in ("key_id", "key", "claim", "action", "expires_at", "permissions", "")]
        + ["client.address", "http.response.status_code", "log.record.uid", "enduser.id", "service.name"]
    ),
    ANY_TEXT,
)
VALUES = st.recursive(
    st.one_of(
        st.just(AnyValue()),
        st.builds(AnyValue, string_value=st.one_of(ANY_TEXT, st.just(KEY.claim()))),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(AnyValue, double_value=st.floats()),
        st.builds(AnyValue, bytes_value=st.binary(max_size=8)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: AnyValue(array_value={"values": items})),
        st.lists(st.builds(KeyValue, key=ANY_TEXT, value=inner), max_size=3).map(
            lambda items: AnyValue(kvlist_value={"values": items})
        ),
    ),
    max_leaves=6,
)
ATTRIBUTES = st.lists(st.builds(KeyValue, key=NAMES, value=VALUES), max_size=6)
TIMES = st.one_of(st.integers(0, 2**64 - 1), st.just(NOW * 1000))
IDS = st.one_of(st.binary(max_size=20), st.sampled_from([bytes(range(1, 17)), bytes(range(1, 9))]))
SPANS = st.builds(
    Span,
    trace_id=IDS,
    span_id=IDS,
    parent_span_id=IDS,
    name=ANY_TEXT,
    kind=st.integers(-(2**31), 2**31 - 1),
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=ATTRIBUTES,
    status=st.builds(Status, message=ANY_TEXT, code=st.integers(-5, 5)),
)
RECORDS = st.builds(
    LogRecord,
    trace_id=IDS,
    span_id=IDS,
    time_unix_nano=TIMES,
    observed_time_unix_nano=TIMES,
    severity_number=st.integers(-(2**31), 2**31 - 1),
    severity_text=ANY_TEXT,
    event_name=ANY_TEXT,
    body=VALUES,
    attributes=ATTRIBUTES,
)


def check_all(mapped: Mapped, count: int) -> None:
    assert len(mapped.events) + mapped.ignored + mapped.rejected == count
    assert bool(mapped.complaint) == bool(mapped.rejected)
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    for event in mapped.events:
        fit(event, encode)
        assert uuid.UUID(event.event_id).version == 8


@given(st.lists(SPANS, max_size=4), ATTRIBUTES)
def test_any_spans_become_events_or_are_counted(spans: list[Span], resource: list[KeyValue]) -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(resource)
    group.scope_spans.add(spans=spans)
    check_all(map_traces(request, NOW), len(spans))
    assert map_traces(through_json(request), NOW) == map_traces(request, NOW)


@given(st.lists(RECORDS, max_size=4), ATTRIBUTES)
def test_any_log_records_become_events_or_are_counted(
    records: list[LogRecord], resource: list[KeyValue]
) -> None:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(resource)
    group.scope_logs.add(log_records=records)
    check_all(map_logs(request, NOW), len(records))


def through_json(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """As an exporter writes it: ids in hex, enums as numbers."""
    written = json_format.MessageToDict(request, use_integers_for_enums=True)
    for group in written["resourceSpans"]:
        for number, item in enumerate(group["scopeSpans"][0].get("spans", [])):
            original = request.resource_spans[0].scope_spans[0].spans[number]
            for name, value in (
                ("traceId", original.trace_id),
                ("spanId", original.span_id),
                ("parentSpanId", original.parent_span_id),
            ):
                item[name] = value.hex()
    read = TRACES.of_json(json.dumps(written).encode())
    assert isinstance(read, ExportTraceServiceRequest)
    return read


WORDS = st.sampled_from(
    (
        *(
            "resourceSpans",
            "scopeSpans",
            "spans",
            "resource",
            "traceId",
            "spanId",
            "links",
            "attributes",
            "key",
        ),
        *("value", "stringValue", "intValue", "kind", "status", "code", "name", "startTimeUnixNano", "other"),
    )
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_a_request_or_is_refused(value: object) -> None:
    for wrapped in (value, {"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}):
        try:
            request: Message = TRACES.of_json(json.dumps(wrapped).encode())
        except RequestError:
            continue
        assert isinstance(request, ExportTraceServiceRequest)
        map_traces(request, NOW)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_are_refused(body: bytes) -> None:
    try:
        request = TRACES.of_binary(body)
    except RequestError:
        return
    assert isinstance(request, ExportTraceServiceRequest)
    map_traces(request, NOW)
