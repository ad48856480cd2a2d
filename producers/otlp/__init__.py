"""OpenTelemetry's protocol (OTLP) as a door for events: spans and log records that carry a key.

`serve` listens for OTLP/HTTP and OTLP/gRPC; what an exporter was told is accepted, Kafka has
acknowledged.  `mapping` says what becomes of a span and a log record.  `docs/otlp.md` is the page for
whoever configures an exporter.
"""

from keytrail.producers.otlp.mapping import Mapped, map_logs, map_traces
from keytrail.producers.otlp.serve import OtlpAddresses, serve

__all__ = ["Mapped", "OtlpAddresses", "map_logs", "map_traces", "serve"]
