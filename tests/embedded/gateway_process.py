"""A gateway in a process of its own for the tests, and a plain HTTP client for it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from waiting import DEADLINE_S, wait_until


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class GatewayProcess:
    process: "subprocess.Popen[bytes]"
    port: int
    data_dir: Path

    def send(
        self,
        query: str | bytes = "",
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        **arguments: str,
    ) -> Reply:
        """One request; `query` goes into the URL, `body` is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            path = "/?" + urlencode(arguments) + (f"&query={quote(query)}" if query else "")
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def sql(self, query: str, **arguments: str) -> str:
        """The text that `query` gives; an error of the engine fails the test."""
        reply = self.send("", query.encode(errors="surrogateescape"), **arguments)
        assert reply.status == 200, reply.text
        return reply.text

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(data_dir: Path, port: int, *options: str) -> list[str]:
    module = "keytrail.deploy.embedded.gateway"
    return [sys.executable, "-m", module, "--data-dir", str(data_dir), "--port", str(port), *options]


@contextmanager
def running(data_dir: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[GatewayProcess]:
    """A gateway that answers; killed at the end if it still runs."""
    port = free_port()
    process = subprocess.Popen(command(data_dir, port, *options), env={**os.environ, **(env or {})})
    try:
        wait_until(lambda: process.poll() is not None or is_up(port))
        assert process.poll() is None, "the gateway ended at its start"
        yield GatewayProcess(process, port, data_dir)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().read() == b"Ok.\n"
    except OSError:
        return False
    finally:
        connection.close()
