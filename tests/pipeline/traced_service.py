"""A small web service that audits what it does, traced by OpenTelemetry: NAME PORT [URL of the next one].

It takes its key's token from `SERVICE_KEY`, where it has one, and the collector's address from the
environment, as every service with OpenTelemetry does.
"""

import asyncio
import os
import sys
import urllib.request
from contextlib import ExitStack

import uvicorn
from opentelemetry import context, propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from keytrail.producers import AuditTrail
from keytrail.producers.telemetry import KeySpanProcessor, context_details, holding
from keytrail.schemas.signature import SigningKey

NAME, PORT, *NEXT = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": NAME}))
provider.add_span_processor(KeySpanProcessor())  # type: ignore[arg-type]
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer(NAME)
trail = AuditTrail(NAME, context_details=context_details)


def call(url: str) -> None:
    headers: dict[str, str] = {}
    propagate.inject(headers)
    urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60).close()  # noqa: S310


async def serve(request: Request) -> PlainTextResponse:
    token = context.attach(propagate.extract(dict(request.headers)))
    try:
        with tracer.start_as_current_span(f"serve {NAME}", kind=SpanKind.SERVER), ExitStack() as stack:
            if secret := os.environ.get("SERVICE_KEY"):
                key = SigningKey.of_token(secret)
                why = {"reason": "quarter's end", "ticket": "OPS-7"}
                stack.enter_context(holding(key, "anna", **why))
                stack.enter_context(trail.acting_as(key, "anna", reason=why["reason"], ticket=why["ticket"]))
            trail.grant(f"account-of-{NAME}", "reader")
            for url in NEXT:
                with tracer.start_as_current_span("call", kind=SpanKind.CLIENT):
                    await asyncio.to_thread(call, url)
    finally:
        context.detach(token)
    return PlainTextResponse("done")


uvicorn.run(Starlette(routes=[Route("/", serve)]), port=int(PORT), log_level="warning")
trail.close(30)
provider.shutdown()
