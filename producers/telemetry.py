"""One key across services, with OpenTelemetry: the key's claim travels in W3C Baggage, and lies on spans.

The service at the edge holds the key's secret and does its work within `holding`.  Services that it calls see
the claim, and cannot make one for another key; what they record without a key of their own names that key,
with the claim as their proof (`schemas.signature.Claim`).  Who and why travel beside it, as the caller says.
Needs the package `opentelemetry-api`: pip install "keytrail[otel]".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context

from keytrail.producers.details import ContextDetails
from keytrail.schemas.attributes import (
    BAGGAGE_ACTOR,
    BAGGAGE_CLAIM,
    BAGGAGE_REASON,
    BAGGAGE_TICKET,
    KEY_ID,
)
from keytrail.schemas.signature import Claim, SigningKey

# W3C Baggage allows 8,192 bytes for all entries together.
_MOST_CHARACTERS = 500


@contextmanager
def holding(
    key: SigningKey, actor: str | None = None, *, reason: str | None = None, ticket: str | None = None
) -> Iterator[None]:
    """Within the block, what is called is called with this key, by this actor, for this reason.

    OpenTelemetry's propagators send it along where they inject; the default ones include Baggage.
    """
    within = baggage.set_baggage(BAGGAGE_CLAIM, key.claim())
    for name, text in ((BAGGAGE_ACTOR, actor), (BAGGAGE_REASON, reason), (BAGGAGE_TICKET, ticket)):
        if text:
            within = baggage.set_baggage(name, text[:_MOST_CHARACTERS], within)
    token = context.attach(within)
    try:
        yield
    finally:
        context.detach(token)


def claimed_key(within: Context | None = None) -> str | None:
    """The id of the key that the caller claims to hold, if any; whether that is true, workers say."""
    claim = Claim.parse(_entry(BAGGAGE_CLAIM, within) or "")
    return claim.key_id if claim else None


def context_details() -> ContextDetails:
    """What the current context knows; for `AuditTrail(context_details=...)`."""
    details: ContextDetails = {}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        details["trace_id"] = trace.format_trace_id(span.trace_id)
        details["span_id"] = trace.format_span_id(span.span_id)
    if (key_id := claimed_key()) is not None:
        details["key_id"], details["key_claim"] = key_id, _entry(BAGGAGE_CLAIM, None)
        details["actor"] = _entry(BAGGAGE_ACTOR, None)
        details["reason"] = _entry(BAGGAGE_REASON, None)
        details["ticket"] = _entry(BAGGAGE_TICKET, None)
    return details


class _Span(Protocol):
    def set_attribute(self, key: str, value: str) -> None: ...


class KeySpanProcessor:
    """Puts key, claim, actor and reason on every span that is started with a key in its Baggage.

    For `TracerProvider.add_span_processor`, before the exporter's.  Spans that arrive at `keytrail otlp` so
    become events.  Thread-safe.
    """

    def on_start(self, span: _Span, parent_context: Context | None = None) -> None:
        key_id = claimed_key(parent_context)
        if key_id is None:
            return
        span.set_attribute(KEY_ID, key_id)
        for name in (BAGGAGE_CLAIM, BAGGAGE_ACTOR, BAGGAGE_REASON, BAGGAGE_TICKET):
            if text := _entry(name, parent_context):
                span.set_attribute(name, text)

    def _on_ending(self, span: object) -> None:
        """Part of the SDK's interface."""

    def on_end(self, span: object) -> None:
        """Nothing is left to do."""

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002
        """Nothing waits."""
        return True


def _entry(name: str, within: Context | None) -> str | None:
    value = baggage.get_baggage(name, within)
    return value if isinstance(value, str) and value else None
