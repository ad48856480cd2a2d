"""`keytrail otlp`: takes spans and log records from OpenTelemetry's exporters until SIGTERM or Ctrl-C."""

import argparse

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import log_to_stderr, progress
from keytrail.producers.otlp import OtlpAddresses, serve

DEFAULT_HTTP_PORT = 4318
DEFAULT_GRPC_PORT = 4317


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (%(default)s); it has no password, so let no stranger reach it",
    )
    for name, port in (("http", DEFAULT_HTTP_PORT), ("grpc", DEFAULT_GRPC_PORT)):
        parser.add_argument(
            f"--{name}-port",
            type=int,
            default=port,
            metavar="PORT",
            help=f"OTLP/{name} (%(default)s); 0 takes a free one",
        )


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options, needs=("kafka", "registry"))
    log_to_stderr()
    serve(settings, options.host, options.http_port, options.grpc_port, _say)
    return 0


def _say(addresses: OtlpAddresses) -> None:
    progress(f"OTLP/HTTP on {addresses.http}, OTLP/gRPC on {addresses.grpc}.")
