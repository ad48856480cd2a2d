"""Spans and log records that carry a key, as events.

One carries a key where it has the attribute `keytrail.key_id`, `keytrail.key_alias`, or the key's claim:
`keytrail.claim`, or `keytrail.key`, as OpenTelemetry's own baggage span processors copy it from Baggage.  All
others are ignored and counted.  `docs/otlp.md` has the table of attributes.

Sources: the OTLP specification 1.x and the semantic conventions' registry of attributes.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from itertools import chain
from typing import TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from keytrail.producers.details import moment
from keytrail.producers.otlp.values import Attributes, text_of
from keytrail.schemas.attributes import BAGGAGE_CLAIM, CLAIM, KEY_ID, PARENT_SPAN, SPAN_KIND
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Event, Micros
from keytrail.schemas.signature import Claim

_PREFIX = "keytrail."
_KEY_ALIAS = "keytrail.key_alias"
_CARRIERS = frozenset({KEY_ID, _KEY_ALIAS, BAGGAGE_CLAIM, CLAIM})
_FIELDS = frozenset(
    f"{_PREFIX}{name}"
    for name in (
        *("key_id", "key_alias", "key", "claim", "actor", "actor_type", "action", "subject", "role"),
        *("permissions", "resource", "reason", "ticket", "approved_by", "expires_at", "outcome", "error"),
        *("source_ip", "user_agent", "correlation_id", "before", "after", "environment"),
    )
)
# What else is kept.  Not all: headers, statements and query strings may hold credentials.
_KEPT = (
    *("http.request.method", "http.route", "http.response.status_code", "http.method", "http.status_code"),
    *("rpc.system", "rpc.service", "rpc.method", "server.address", "server.port", "error.type"),
    *("db.system.name", "db.system", "db.namespace", "db.collection.name", "db.operation.name"),
    *("messaging.system", "messaging.destination.name", "messaging.operation.name"),
)
_KEPT_OF_RESOURCE = ("service.namespace", "service.version", "service.instance.id", "host.name")
_DENIED = ("401", "403")
_BODY_CHARS = 2_000
_UNREADABLE = "keytrail.unreadable"

# As the stream takes them: before 1990, or more than a day ahead, no event happened.
_EARLIEST: Micros = 631_152_000_000_000
_AHEAD: Micros = 24 * 3600 * 1_000_000

_NAMED = 10
_NAME_CHARS = 80

_Item = TypeVar("_Item", Span, LogRecord)


class ItemError(KeytrailError):
    """A span or log record carries a key and can be no event."""


@dataclass
class Mapped:
    """What a request holds: events, how many items carry no key, and what is wrong with which others."""

    events: list[Event] = field(default_factory=list)
    ignored: int = 0
    rejected: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def complaint(self) -> str:
        """The first rejected items by name, and why; empty where none was rejected."""
        more = self.rejected - len(self.complaints)
        return " ".join([*self.complaints, *([f"And {more} more."] if more else [])])

    def reject(self, complaint: str) -> None:
        self.rejected += 1
        if len(self.complaints) < _NAMED:
            self.complaints.append(complaint)


@dataclass(frozen=True)
class _Origin:
    """What an item has from its resource and its scope."""

    resource: Attributes
    scope: str

    @property
    def service(self) -> str:
        return self.resource.text("service.name") or "unknown_service"


def map_traces(request: ExportTraceServiceRequest, now: Micros) -> Mapped:
    """The events among the request's spans; equal spans give equal events.  Never raises."""
    groups = (
        (_Origin(Attributes(of_resource.resource.attributes), of_scope.scope.name), of_scope.spans)
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
    )
    return _map(groups, _event_of_span, now)


def map_logs(request: ExportLogsServiceRequest, now: Micros) -> Mapped:
    """As `map_traces`, for log records."""
    groups = (
        (_Origin(Attributes(of_resource.resource.attributes), of_scope.scope.name), of_scope.log_records)
        for of_resource in request.resource_logs
        for of_scope in of_resource.scope_logs
    )
    return _map(groups, _event_of_log, now)


def _map(
    groups: Iterable[tuple[_Origin, Iterable[_Item]]],
    event_of: Callable[[_Item, _Origin, Micros], Event],
    now: Micros,
) -> Mapped:
    mapped = Mapped()
    for origin, items in groups:
        for item in items:
            if not _carries_key(item.attributes):
                mapped.ignored += 1
                continue
            try:
                mapped.events.append(event_of(item, origin, now))
            except ItemError as error:
                mapped.reject(str(error))
    return mapped


def _carries_key(attributes: Iterable[KeyValue]) -> bool:
    return any(pair.key in _CARRIERS and text_of(pair.value) for pair in attributes)


def _event_of_span(span: Span, origin: _Origin, now: Micros) -> Event:
    ids = f"trace {span.trace_id[:16].hex()}, span {span.span_id[:8].hex()}"
    name = f"Span {span.name[:_NAME_CHARS]!r} ({ids})"
    trace_id, span_id = _hex(span.trace_id, 16), _hex(span.span_id, 8)
    if trace_id is None or span_id is None:
        raise ItemError(f"{name} has no valid trace id and span id.")
    started, ended = span.start_time_unix_nano // 1000, span.end_time_unix_nano // 1000
    _check_time(started, now, name, "start")
    given = Attributes(span.attributes)
    attributes = {SPAN_KIND: _kind(span.kind), "otel.span_name": span.name}
    if parent := _hex(span.parent_span_id, 8):
        attributes[PARENT_SPAN] = parent
    if started <= ended <= now + _AHEAD:
        attributes["otel.duration_us"] = str(ended - started)
    else:
        ended = started
    key_id = _key_id(given)
    failed = span.status.code == Status.STATUS_CODE_ERROR
    denied = given.text("http.response.status_code", "http.status_code") in _DENIED
    return _event(
        given,
        origin,
        # Kind and service too: in some traces a call's two ends share a span id.
        event_id=_id("span", trace_id, span_id, origin.service, str(span.kind), key_id or ""),
        occurred_at=started,
        recorded_at=ended,
        key_id=key_id,
        resource=span.name or None,
        outcome="denied" if denied else "failure" if failed else "success",
        error=(span.status.message or given.text("error.type", "exception.type")) if failed else None,
        peer=span.kind == Span.SPAN_KIND_SERVER,
        trace_id=trace_id,
        span_id=span_id,
        attributes=attributes,
    )


def _event_of_log(record: LogRecord, origin: _Origin, now: Micros) -> Event:
    name = f"Log record {record.event_name[:_NAME_CHARS]!r} of {origin.service[:_NAME_CHARS]!r}"
    at, observed = record.time_unix_nano // 1000, record.observed_time_unix_nano // 1000
    occurred_at = at or observed
    _check_time(occurred_at, now, name, "time")
    given = Attributes(record.attributes)
    attributes = {}
    if body := text_of(record.body):
        attributes["otel.body"] = body[:_BODY_CHARS]
    if record.severity_text:
        attributes["otel.severity"] = record.severity_text
    failed = record.severity_number >= SeverityNumber.SEVERITY_NUMBER_ERROR
    return _event(
        given,
        origin,
        event_id=_log_id(record, origin, given),
        occurred_at=occurred_at,
        recorded_at=observed if occurred_at <= observed <= now + _AHEAD else occurred_at,
        key_id=_key_id(given),
        resource=record.event_name or None,
        outcome="failure" if failed else "success",
        error=given.text("exception.type", "error.type") if failed else None,
        peer=False,
        trace_id=_hex(record.trace_id, 16),
        span_id=_hex(record.span_id, 8),
        attributes=attributes,
    )


def _event(
    given: Attributes,
    origin: _Origin,
    *,
    event_id: str,
    occurred_at: Micros,
    recorded_at: Micros,
    key_id: str | None,
    resource: str | None,
    outcome: str,
    error: str | None,
    peer: bool,
    trace_id: str | None,
    span_id: str | None,
    attributes: dict[str, str],
) -> Event:
    actor = given.text("keytrail.actor", "enduser.id", "user.id")
    address = given.text("keytrail.source_ip", "client.address", "http.client_ip") or (
        given.text("network.peer.address", "net.peer.ip") if peer else None
    )
    expires = given.text("keytrail.expires_at")
    expires_at = _moment(expires)
    attributes |= dict(_more(given, origin))
    if address and not _is_address(address):
        attributes["client.address"] = address
    if expires and expires_at is None:
        attributes[_UNREADABLE] = "expires_at"
    return Event(
        event_id=event_id,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        service=origin.service,
        environment=given.text("keytrail.environment")
        or origin.resource.text("deployment.environment.name", "deployment.environment"),
        actor_id=actor or origin.service,
        actor_type=given.text("keytrail.actor_type") or ("human" if actor else "service"),
        key_id=key_id,
        key_alias=given.text(_KEY_ALIAS),
        action=given.text("keytrail.action") or "use",
        subject=given.text("keytrail.subject"),
        role=given.text("keytrail.role"),
        permissions=given.texts("keytrail.permissions"),
        resource=given.text("keytrail.resource") or resource,
        reason=given.text("keytrail.reason"),
        ticket=given.text("keytrail.ticket"),
        approved_by=given.text("keytrail.approved_by"),
        expires_at=expires_at,
        outcome=given.text("keytrail.outcome") or outcome,
        error=given.text("keytrail.error") or error,
        source_ip=address if address and _is_address(address) else None,
        user_agent=given.text("keytrail.user_agent", "user_agent.original", "http.user_agent"),
        trace_id=trace_id,
        span_id=span_id,
        correlation_id=given.text("keytrail.correlation_id"),
        before=given.text("keytrail.before"),
        after=given.text("keytrail.after"),
        attributes=attributes,
        producer_id=f"otlp:{origin.service}",
    )


def _more(given: Attributes, origin: _Origin) -> Iterator[tuple[str, str]]:
    if origin.scope:
        yield "otel.scope", origin.scope
    if claim := given.text(CLAIM, BAGGAGE_CLAIM):
        yield CLAIM, claim
    for name in chain(_KEPT, (name for name in given if name.startswith(_PREFIX) and name not in _FIELDS)):
        if text := given.text(name):
            yield name.removeprefix(_PREFIX), text
    for name in _KEPT_OF_RESOURCE:
        if text := origin.resource.text(name):
            yield name, text


def _key_id(given: Attributes) -> str | None:
    """The key as stated; else as claimed.  Whether the claim is true is for who holds the masters to say."""
    if stated := given.text(KEY_ID):
        return stated
    claim = Claim.parse(given.text(CLAIM, BAGGAGE_CLAIM) or "")
    return claim.key_id if claim else None


def _log_id(record: LogRecord, origin: _Origin, given: Attributes) -> str:
    """By the record's own id where it has one, or else by all of its content."""
    if stated := given.text("log.record.uid"):
        return _id("uid", origin.service, stated)
    content = record.SerializeToString(deterministic=True)
    instance = origin.resource.text("service.instance.id") or ""
    return _id("log", origin.service, instance, origin.scope, hashlib.sha256(content).hexdigest())


def _id(*parts: str) -> str:
    """A UUID of version 8 (RFC 9562) from a digest of the parts, each with its length before it."""
    digest = hashlib.sha256(b"keytrail:otlp\0")
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return str(uuid.UUID(int=_versioned(int.from_bytes(digest.digest()[:16], "big"))))


def _versioned(number: int) -> int:
    return number & ~(0xF << 76) & ~(0b11 << 62) | 8 << 76 | 0b10 << 62


def _check_time(at: Micros, now: Micros, name: str, which: str) -> None:
    if not _EARLIEST <= at <= now + _AHEAD:
        raise ItemError(f"{name}: its {which} is missing, before 1990, or more than a day ahead.")


def _moment(text: str | None) -> Micros | None:
    try:
        at = moment(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None
    return at if at is not None and at >= _EARLIEST else None


def _hex(identifier: bytes, size: int) -> str | None:
    """In hex; None for one of another size, and for all zeroes, which means none."""
    return identifier.hex() if len(identifier) == size and any(identifier) else None


def _kind(number: int) -> str:
    known = number in Span.SpanKind.values()
    return Span.SpanKind.Name(number).removeprefix("SPAN_KIND_").lower() if known else str(number)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
