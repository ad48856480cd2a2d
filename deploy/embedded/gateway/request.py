"""Reads the URL, the headers and the form fields of a request for what it asks of the engine."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from keytrail.deploy.embedded.gateway.coding import choose_coding
from keytrail.deploy.embedded.gateway.config import MIB
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode

DEFAULT_FORMAT = "TabSeparated"
_DEFAULT_SESSION_S = 60
_MAX_SESSION_S = 3600
_TRUE = {"1", "true"}
_FORMAT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Read by the interface itself; every other parameter is a setting of the engine.
_OWN = {
    "query",
    "database",
    "user",
    "password",
    "default_format",
    "query_id",
    "wait_end_of_query",
    "compress",
}
_OWN |= {"decompress", "session_id", "session_timeout", "session_check", "quota_key", "role", "buffer_size"}
_OWN |= {"stacktrace", "client_protocol_version"}
# A server keeps these for its connection to the client; the engine has no such connection.
_TRANSPORT = {"enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms"}
_TRANSPORT |= {"cancel_http_readonly_queries_on_client_close", "http_zlib_compression_level"}


@dataclass(frozen=True)
class SessionRef:
    """A client's session: where it is not known, `must_exist` makes that an error."""

    session_id: str
    timeout_s: float
    must_exist: bool


@dataclass(frozen=True)
class QueryRequest:
    """One request, without its body.

    `query` is the statement or its beginning; `params` are `{name:Type}` values; `coding` is the content
    coding of the answer, or empty.  `hold_bytes` is how much of a result is kept back before the status
    is sent, so that an early error still gets its own status; None keeps back all of it.
    """

    query: bytes
    query_id: str
    database: str
    settings: Mapping[str, str]
    params: Mapping[str, str]
    default_format: str
    session: SessionRef | None
    read_only: bool
    hold_bytes: int | None
    coding: str


def url_arguments(query_string: bytes) -> dict[str, str]:
    """The parameters of a URL, the last of each name; bytes that are no UTF-8 become surrogates."""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    return dict(pairs)


def read_request(arguments: Mapping[str, str], headers: Headers, method: str) -> QueryRequest:
    """Raises `EngineError` for what cannot be served here or does not make sense."""
    for name in ("compress", "decompress"):
        if arguments.get(name, "").lower() in _TRUE:
            raise EngineError.of(
                ErrorCode.NOT_IMPLEMENTED,
                f"{name}=1 (ClickHouse's own compressed blocks) is not supported here; send {name}=0 and use "
                "HTTP compression (Content-Encoding, Accept-Encoding).",
            )
    default_format = headers.get("x-clickhouse-format") or arguments.get("default_format") or DEFAULT_FORMAT
    if not _FORMAT_NAME.fullmatch(default_format):
        raise EngineError.of(ErrorCode.BAD_REQUEST_PARAMETER, "default_format is not the name of a format.")
    wait = arguments.get("wait_end_of_query", "").lower() in _TRUE
    compressed = arguments.get("enable_http_compression", "1").lower() in _TRUE
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in _OWN and name not in _TRANSPORT and not name.startswith("param_")
    }
    return QueryRequest(
        query=arguments.get("query", "").encode(errors="surrogateescape"),
        query_id=_header_text(arguments.get("query_id", "")) or str(uuid.uuid4()),
        database=arguments.get("database") or headers.get("x-clickhouse-database") or "",
        settings=settings,
        params=_params(arguments.items()),
        default_format=default_format,
        session=_session(arguments),
        read_only=method not in {"POST", "PUT"},
        hold_bytes=None if wait else max(_whole(arguments, "buffer_size", MIB), 1),
        coding=choose_coding(headers.get("accept-encoding", "")) if compressed else "",
    )


def _params(arguments: Iterable[tuple[str, str]]) -> dict[str, str]:
    params = {name.removeprefix("param_"): value for name, value in arguments if name.startswith("param_")}
    try:
        "".join((*params, *params.values())).encode()
    except UnicodeEncodeError as error:
        raise EngineError.of(
            ErrorCode.BAD_REQUEST_PARAMETER, "The value of a query parameter is not UTF-8."
        ) from error
    return params


def _session(arguments: Mapping[str, str]) -> SessionRef | None:
    session_id = arguments.get("session_id", "")
    if not session_id:
        return None
    timeout_s = _whole(arguments, "session_timeout", _DEFAULT_SESSION_S)
    if timeout_s > _MAX_SESSION_S:
        raise EngineError.of(
            ErrorCode.INVALID_SESSION_TIMEOUT, f"session_timeout is above {_MAX_SESSION_S} seconds."
        )
    return SessionRef(session_id, timeout_s, arguments.get("session_check", "").lower() in _TRUE)


def _whole(arguments: Mapping[str, str], name: str, default: int) -> int:
    value = arguments.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit()):
        raise EngineError.of(ErrorCode.BAD_REQUEST_PARAMETER, f"{name} is not a whole number.")
    return int(value)


def _header_text(value: str) -> str:
    """What of `value` can stand in a response header."""
    return "".join(letter for letter in value if letter.isascii() and letter.isprintable())
