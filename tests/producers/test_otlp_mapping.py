"""What becomes of spans and log records."""

import json
import uuid
from collections.abc import Mapping

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from keytrail.producers.otlp.mapping import Mapped, map_logs, map_traces
from keytrail.producers.otlp.signals import LOGS, TRACES, RequestError
from keytrail.schemas.attributes import CLAIM
from keytrail.schemas.records import Event
from keytrail.schemas.signature import SigningKey

NOW = 1_764_100_000_000_000
AT_NS = NOW * 1000 - 5_000_000_123
TRACE, SPAN, PARENT = bytes(range(1, 17)), bytes(range(1, 9)), bytes(range(11, 19))
KEY = SigningKey("key-finance-7", "m1", 1, bytes(32))


def pairs(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in values.items()]


def span(attributes: Mapping[str, str], **more: object) -> Span:
    given_fields: dict[str, object] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "name": "GET /invoices",
        "start_time_unix_nano": AT_NS,
        "end_time_unix_nano": AT_NS + 2_500_000,
        **more,
    }
    return Span(attributes=pairs(attributes), **given_fields)  # type: ignore[arg-type]


def mapped_spans(*spans: Span, resource: Mapping[str, str] | None = None) -> Mapped:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "billing", **(resource or {})}))
    group.scope_spans.add(spans=spans).scope.name = "tests"
    return map_traces(request, NOW)


def mapped_logs(*records: LogRecord) -> Mapped:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs({"service.name": "billing"}))
    group.scope_logs.add(log_records=records)
    return map_logs(request, NOW)


def only(mapped: Mapped) -> Event:
    assert (mapped.ignored, mapped.rejected) == (0, 0), mapped.complaint
    [event] = mapped.events
    return event


def test_a_span_with_a_key_is_a_use_of_what_it_is_named_for() -> None:
    event = only(mapped_spans(span({"keytrail.key_id": "k1", "enduser.id": "anna"}, parent_span_id=PARENT)))

    assert (event.key_id, event.actor_id, event.actor_type) == ("k1", "anna", "human")
    assert (event.action, event.resource, event.service) == ("use", "GET /invoices", "billing")
    assert (event.occurred_at, event.recorded_at) == (AT_NS // 1000, (AT_NS + 2_500_000) // 1000)
    assert (event.trace_id, event.span_id, event.outcome) == (TRACE.hex(), SPAN.hex(), "success")
    assert event.attributes == {
        "otel.span_kind": "unspecified",
        "otel.span_name": "GET /invoices",
        "otel.parent_span_id": PARENT.hex(),
        "otel.duration_us": "2500",
        "otel.scope": "tests",
    }


def test_attributes_of_keytrails_own_come_before_all_others() -> None:
    names = ("action", "subject", "role", "resource", "reason", "ticket", "approved_by", "outcome", "error")
    names += ("actor", "actor_type", "environment", "user_agent", "correlation_id", "before", "after")
    stated = {f"keytrail.{name}": f"my {name}" for name in names}
    event = only(
        mapped_spans(
            span(
                {
                    **stated,
                    "keytrail.key_id": "k1",
                    "keytrail.expires_at": "2026-12-31T00:00:00Z",
                    "keytrail.team": "finance",
                    "keytrail.source_ip": "10.0.0.7",
                    "enduser.id": "someone else",
                    "user_agent.original": "curl",
                    "client.address": "10.9.9.9",
                }
            ),
            resource={"deployment.environment.name": "production"},
        )
    )
    values = {**vars(event), "actor": event.actor_id}
    assert {name: values[name] for name in names} == {name: f"my {name}" for name in names}
    assert event.source_ip == "10.0.0.7"
    assert event.expires_at == 1_798_675_200_000_000
    assert event.attributes["team"] == "finance"


def test_semantic_conventions_fill_what_is_not_said() -> None:
    event = only(
        mapped_spans(
            span(
                {
                    "keytrail.key_id": "k1",
                    "client.address": "2001:db8::1",
                    "user_agent.original": "curl/8",
                    "http.request.method": "GET",
                    "http.request.header.authorization": "Bearer secret",
                    "url.full": "https://x/?token=secret",
                },
                kind=Span.SPAN_KIND_SERVER,
            ),
            resource={"deployment.environment.name": "production", "service.version": "7"},
        )
    )
    assert (event.source_ip, event.user_agent, event.environment) == ("2001:db8::1", "curl/8", "production")
    assert (event.actor_id, event.actor_type) == ("billing", "service")
    assert event.attributes["http.request.method"] == "GET"
    assert event.attributes["service.version"] == "7"
    assert "secret" not in json.dumps(vars(event))


@pytest.mark.parametrize(
    ("status", "code", "outcome", "error"),
    [
        (Status(), "200", "success", None),
        (Status(code=Status.STATUS_CODE_OK, message="ignored"), "200", "success", None),
        (Status(code=Status.STATUS_CODE_ERROR, message="no such row"), "500", "failure", "no such row"),
        (Status(), "403", "denied", None),
        (Status(code=Status.STATUS_CODE_ERROR), "401", "denied", None),
    ],
)
def test_outcome_is_the_status(status: Status, code: str, outcome: str, error: str | None) -> None:
    attributes = {"keytrail.key_id": "k1", "http.response.status_code": code}
    event = only(mapped_spans(span(attributes, status=status)))
    assert (event.outcome, event.error) == (outcome, error)


@pytest.mark.parametrize("name", ["keytrail.claim", "keytrail.key"])
def test_a_claim_names_the_key_and_stays_with_the_event(name: str) -> None:
    event = only(mapped_spans(span({name: KEY.claim()})))
    assert event.key_id == "key-finance-7"
    assert event.attributes[CLAIM] == KEY.claim()


def test_a_plain_id_in_place_of_a_claim_names_no_key() -> None:
    event = only(mapped_spans(span({"keytrail.key": "key-finance-7"})))
    assert event.key_id is None
    assert event.attributes[CLAIM] == "key-finance-7"


def test_what_carries_no_key_is_ignored_and_counted() -> None:
    mapped = mapped_spans(span({}), span({"keytrail.key_id": ""}), span({"keytrail.key_id": "k1"}))
    assert (len(mapped.events), mapped.ignored, mapped.rejected) == (1, 2, 0)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"start_time_unix_nano": 0}, "its start is missing"),
        ({"start_time_unix_nano": 2**64 - 1}, "more than a day ahead"),
        ({"start_time_unix_nano": 10**9}, "before 1990"),
        ({"trace_id": b"short"}, "no valid trace id"),
        ({"span_id": bytes(8)}, "no valid trace id and span id"),
    ],
)
def test_nonsense_is_rejected_by_name_and_nothing_else_is(wrong: dict[str, object], complaint: str) -> None:
    mapped = mapped_spans(span({"keytrail.key_id": "k1"}, **wrong), span({"keytrail.key_id": "k1"}))
    assert (len(mapped.events), mapped.rejected) == (1, 1)
    assert "Span 'GET /invoices' (trace " in mapped.complaint
    assert complaint in mapped.complaint


def test_many_rejected_items_are_named_in_part() -> None:
    mapped = mapped_spans(*[span({"keytrail.key_id": "k1"}, span_id=b"")] * 500)
    assert mapped.rejected == 500
    assert mapped.complaint.endswith("And 490 more.")
    assert len(mapped.complaint) < 4000


def test_an_end_before_the_start_is_no_reason_to_reject() -> None:
    event = only(mapped_spans(span({"keytrail.key_id": "k1"}, end_time_unix_nano=1)))
    assert event.recorded_at == event.occurred_at
    assert "otel.duration_us" not in event.attributes


def test_an_unreadable_expiry_is_named() -> None:
    event = only(mapped_spans(span({"keytrail.key_id": "k1", "keytrail.expires_at": "soon"})))
    assert event.expires_at is None
    assert event.attributes["keytrail.unreadable"] == "expires_at"


def test_values_of_every_type_are_text() -> None:
    values = (
        AnyValue(bool_value=True),
        AnyValue(int_value=-7),
        AnyValue(bytes_value=b"\0\1"),
        AnyValue(array_value={"values": [AnyValue(int_value=1), AnyValue(string_value="a")]}),
        AnyValue(kvlist_value={"values": [KeyValue(key="a", value=AnyValue(double_value=0.5))]}),
    )
    one = span({"keytrail.key_id": "k1"})
    one.attributes.extend(KeyValue(key=f"keytrail.v{n}", value=value) for n, value in enumerate(values))
    permissions = AnyValue(array_value={"values": [AnyValue(string_value="a"), AnyValue(string_value="b")]})
    one.attributes.append(KeyValue(key="keytrail.permissions", value=permissions))
    event = only(mapped_spans(one))
    assert [event.attributes[f"v{n}"] for n in range(5)] == ["true", "-7", "AAE=", '[1, "a"]', '{"a": 0.5}']
    assert event.permissions == ["a", "b"]


def test_a_retry_gives_the_same_id_and_another_span_another() -> None:
    first, again, sibling, other_key = (
        only(mapped_spans(span(attributes, **more))).event_id
        for attributes, more in (
            ({"keytrail.key_id": "k1"}, {}),
            ({"keytrail.key_id": "k1", "added.by": "a collector"}, {}),
            ({"keytrail.key_id": "k1"}, {"span_id": PARENT}),
            ({"keytrail.key_id": "k2"}, {}),
        )
    )
    assert first == again
    assert len({first, sibling, other_key}) == 3
    assert uuid.UUID(first).version == 8
    assert uuid.UUID(first).variant == uuid.RFC_4122


def test_a_log_record_is_an_event_by_its_content() -> None:
    def record(**more: object) -> LogRecord:
        fields: dict[str, object] = {
            "time_unix_nano": AT_NS,
            "trace_id": TRACE,
            "span_id": SPAN,
            "body": AnyValue(string_value="role given"),
            **more,
        }
        attributes = pairs({"keytrail.key_id": "k1", "keytrail.action": "grant"})
        return LogRecord(attributes=attributes, **fields)  # type: ignore[arg-type]

    event = only(mapped_logs(record()))
    assert (event.action, event.key_id, event.outcome) == ("grant", "k1", "success")
    assert event.attributes == {"otel.body": "role given"}
    assert (event.trace_id, event.span_id) == (TRACE.hex(), SPAN.hex())
    assert only(mapped_logs(record(severity_number=17))).outcome == "failure"
    assert only(mapped_logs(record(trace_id=b"nonsense"))).trace_id is None
    assert (
        only(mapped_logs(record(time_unix_nano=0, observed_time_unix_nano=AT_NS))).occurred_at
        == AT_NS // 1000
    )
    assert mapped_logs(record(time_unix_nano=0)).rejected == 1
    assert only(mapped_logs(record())).event_id == event.event_id
    assert only(mapped_logs(record(time_unix_nano=AT_NS + 1))).event_id != event.event_id


def test_a_log_records_own_id_decides() -> None:
    def record(body: str) -> LogRecord:
        attributes = pairs({"keytrail.key_id": "k1", "log.record.uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV"})
        return LogRecord(attributes=attributes, time_unix_nano=AT_NS, body=AnyValue(string_value=body))

    first, again = (only(mapped_logs(record(body))).event_id for body in ("a", "b"))
    assert first == again


def test_json_means_the_same_as_binary() -> None:
    text = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]},
                "somethingNew": {"a": 1},
                "scopeSpans": [
                    {
                        "scope": {"name": "tests"},
                        "spans": [
                            {
                                "traceId": TRACE.hex().upper(),
                                "spanId": SPAN.hex(),
                                "parentSpanId": PARENT.hex(),
                                "name": "GET /invoices",
                                "kind": 2,
                                "startTimeUnixNano": str(AT_NS),
                                "endTimeUnixNano": AT_NS + 2_500_000,
                                "attributes": [
                                    {"key": "keytrail.key_id", "value": {"stringValue": "k1"}},
                                    {"key": "http.response.status_code", "value": {"intValue": "403"}},
                                ],
                                "links": [{"traceId": TRACE.hex(), "spanId": SPAN.hex()}],
                                "status": {"code": 2, "message": "no"},
                            }
                        ],
                    }
                ],
            }
        ]
    }
    from_json = map_traces(TRACES.of_json(json.dumps(text).encode()), NOW)  # type: ignore[arg-type]
    from_binary = mapped_spans(
        span(
            {"keytrail.key_id": "k1", "http.response.status_code": "403"},
            parent_span_id=PARENT,
            kind=Span.SPAN_KIND_SERVER,
            status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
        )
    )
    assert from_json == from_binary
    assert only(from_json).outcome == "denied"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"resourceSpans": 7}',
        b'{"resourceSpans": [7]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 7}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": []}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
        b'{"a": ' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_json_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        TRACES.of_json(body)


def test_bytes_that_are_no_request_are_refused() -> None:
    with pytest.raises(RequestError):
        LOGS.of_binary(b"\x0a\xff\xff\xff")
