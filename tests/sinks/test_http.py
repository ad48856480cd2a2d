"""What may have become of a statement, told from how the connection ended."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from keytrail.deploy.embedded.ports import free_port
from keytrail.schemas.settings import HttpSettings
from keytrail.sinks.clickhouse.http import ClickHouse, NoAnswerError, NotSentError, RefusedError

SECRET = "Cannot parse uuid the-secret: (at row 1) (CANNOT_PARSE_UUID)"


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Reads a request, answers it with these bytes, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def http(status: str, body: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()


def ask(url: str) -> bytes:
    return ClickHouse(HttpSettings(url, user="u", password="the-password")).run("SELECT 1")


def test_nobody_listens() -> None:
    with pytest.raises(NotSentError, match=r"does not answer"):
        ask(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"not http at all\r\n\r\n",
        http("502 Bad Gateway", "<html>upstream</html>"),
        http("500 Internal Server Error", "Code: 319. DB::Exception: (UNKNOWN_STATUS_OF_INSERT)"),
    ],
)
def test_no_answer_that_says_what_became_of_it(answer: bytes) -> None:
    with server(answer) as url, pytest.raises(NoAnswerError):
        ask(url)


@pytest.mark.parametrize(
    "answer",
    [
        http("400 Bad Request", f"Code: 376. DB::Exception: {SECRET}"),
        http("500 Internal", SECRET, "X-ClickHouse-Exception-Code: 376\r\n"),
    ],
)
def test_clickhouse_refuses(answer: bytes) -> None:
    with server(answer) as url, pytest.raises(RefusedError) as caught:
        ask(url)
    assert caught.value.code == 376
    assert caught.value.name == "CANNOT_PARSE_UUID"
    assert "the-secret" in caught.value.said
    assert "the-secret" not in str(caught.value)
    assert "the-password" not in repr(caught.value)


def test_an_answer() -> None:
    with server(http("200 OK", "1\n")) as url:
        assert ask(url) == b"1\n"
