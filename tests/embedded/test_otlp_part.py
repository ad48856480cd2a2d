"""The OTLP receiver as a part of `keytrail up`: which ports it takes, and when it is left out."""

import argparse
import socket
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import pytest

from keytrail.cli import otlp_part
from keytrail.cli.otlp_part import otlp_arguments, otlp_flags, otlp_parts
from keytrail.schemas.errors import UsageError


def options(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    otlp_arguments(parser)
    return parser.parse_args(flags)


def ports(*flags: str) -> tuple[int, int]:
    [part] = otlp_parts(options(*flags), ("keytrail",))
    return tuple(int(part.addresses[name].rpartition(":")[2]) for name in ("otlp_http", "otlp_grpc"))  # type: ignore[return-value]


def test_the_usual_port_is_taken_where_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_part, "is_free", lambda port: port == 4318)
    http, grpc = ports()
    assert http == 4318
    assert grpc not in (4317, 0)


def test_zero_is_a_free_port_in_any_case() -> None:
    assert not {0, 4317, 4318} & set(ports("--otlp-http-port=0", "--otlp-grpc-port=0"))


def test_a_port_that_was_asked_for_is_that_or_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [part] = otlp_parts(options(f"--otlp-grpc-port={port}"), ("keytrail",))
        with pytest.raises(UsageError, match=f"Port {port}, for otlp, .* --otlp-grpc-port"):
            part.before_start()


def test_without_its_packages_the_stack_runs_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_grpc(name: str) -> ModuleSpec | None:
        if name == "opentelemetry.proto":
            raise ModuleNotFoundError(name="opentelemetry")
        return None if name == "grpc" else find_spec(name)

    monkeypatch.setattr(otlp_part, "find_spec", without_grpc)
    assert otlp_parts(options(), ("keytrail",)) == []
    said = capsys.readouterr().err
    assert "takes nothing from OpenTelemetry: opentelemetry.proto, grpc missing" in said
    assert said.count("\n") == 1


def test_a_detached_stack_gets_the_same_flags() -> None:
    for flags in ((), ("--no-otlp",), ("--otlp-http-port", "0", "--otlp-grpc-port", "4317")):
        assert otlp_flags(options(*flags)) == flags
    assert otlp_parts(options("--no-otlp"), ("keytrail",)) == []
