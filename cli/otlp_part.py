"""The OTLP receiver as a part of the embedded stack."""

import argparse
from importlib.util import find_spec

from keytrail.cli.output import progress
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import HOST, claim, free_port, is_free
from keytrail.deploy.embedded.ready import http_answers

_PACKAGES = ("google.protobuf", "opentelemetry.proto", "grpc", "starlette", "uvicorn")
_HTTP_FLAG, _GRPC_FLAG = "--otlp-http-port", "--otlp-grpc-port"
_HTTP_PORT, _GRPC_PORT = 4318, 4317


def otlp_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-otlp", action="store_true", help="take nothing from OpenTelemetry's exporters")
    for flag, port in ((_HTTP_FLAG, _HTTP_PORT), (_GRPC_FLAG, _GRPC_PORT)):
        parser.add_argument(
            flag, type=int, metavar="PORT", help=f"{port} if it is free; 0 takes a free one in any case"
        )


def otlp_flags(options: argparse.Namespace) -> tuple[str, ...]:
    """The same flags for another process."""
    ports = ((_HTTP_FLAG, options.otlp_http_port), (_GRPC_FLAG, options.otlp_grpc_port))
    given = [word for flag, port in ports if port is not None for word in (flag, str(port))]
    return (*(["--no-otlp"] if options.no_otlp else []), *given)


def otlp_parts(options: argparse.Namespace, keytrail: tuple[str, ...]) -> list[Part]:
    """The part, if it is wanted; without its packages the stack runs all the same, and this says so.

    `keytrail` is the command to run.
    """
    if options.no_otlp:
        return []
    if missing := [name for name in _PACKAGES if not _is_there(name)]:
        progress(
            f"The stack takes nothing from OpenTelemetry: {', '.join(missing)} missing."
            ' Install it with: pip install "keytrail[embedded]"'
        )
        return []
    http_port = _choose(options.otlp_http_port, _HTTP_PORT)
    grpc_port = _choose(options.otlp_grpc_port, _GRPC_PORT)

    def claim_ports() -> None:
        claim(http_port, "otlp", _HTTP_FLAG)
        claim(grpc_port, "otlp", _GRPC_FLAG)

    url = f"http://{HOST}:{http_port}"
    ports = ("--http-port", str(http_port), "--grpc-port", str(grpc_port))
    return [
        Part(
            "otlp",
            (*keytrail, "otlp", *ports),
            before_start=claim_ports,
            is_ready=lambda: http_answers(f"{url}/"),
            port=http_port,
            addresses={"otlp_http": url, "otlp_grpc": f"{HOST}:{grpc_port}"},
        )
    ]


def _choose(given: int | None, usual: int) -> int:
    """A collector of another kind may have the usual port: then nobody asked for exactly that."""
    if given is None:
        return usual if is_free(usual) else free_port()
    return given or free_port()


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it lies in
        return False
