"""ClickHouse over HTTP, with every failure told apart by what may have happened to the statement.

A statement either was never sent, or was refused with a code, or got no answer: then it may have run, may
be running still, or may not have begun.  The sink's promise rests on this difference.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

import urllib3

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.settings import HttpSettings

Row = Mapping[str, object]
Param = str | int | Sequence[int] | Sequence[str]

_CONNECT_TIMEOUT_S = 5.0
_QUERY_TIMEOUT_S = 60.0
_STREAM_TIMEOUT_S = 300.0
_CHUNK_BYTES = 256 * 1024
_CODE = re.compile(r"Code: (\d+)")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")
_NOT_ENOUGH_SPACE = 243
_UNKNOWN_STATUS = 319
_DISK_IS_FULL = "No space left on device"  # as the operating system says it, whatever the code


class NotSentError(UnavailableError):
    """No connection: ClickHouse has not seen the statement."""


class NoAnswerError(UnavailableError):
    """The statement was sent and no answer came: whether it ran is unknown."""


class RefusedError(KeytrailError):
    """ClickHouse's answer is an error.

    `code` is ClickHouse's own, `name` its name.  The message holds no more than these, since
    ClickHouse's text quotes data; `said` is the whole of it, for the one who wrote the statement.
    """

    def __init__(self, code: int, name: str, said: str) -> None:
        if code == _NOT_ENOUGH_SPACE or _DISK_IS_FULL in said:
            super().__init__(
                f"ClickHouse has no disk space left: code {code} ({name}).", "Make room on its disk."
            )
        else:
            super().__init__(f"ClickHouse refuses a statement: code {code} ({name}).")
        self.code = code
        self.name = name
        self.said = said


@dataclass(frozen=True)
class Answer:
    """`format` is what the chunks are in; they are to be read to their end, once."""

    format: str
    chunks: Iterator[bytes]


class ClickHouse:
    """One ClickHouse, asked over HTTP.  Thread-safe; no statement is ever repeated by itself."""

    def __init__(self, settings: HttpSettings, *, database: str = "", connections: int = 4) -> None:
        """Names without a database are looked up in `database` (empty: ClickHouse's own default)."""
        self.url = settings.url.rstrip("/")
        self._fields = {"database": database} if database else {}
        self._headers = {"Content-Type": "application/octet-stream", "User-Agent": "keytrail"}
        if settings.user:
            self._headers |= urllib3.make_headers(basic_auth=f"{settings.user}:{settings.password}")
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=connections,
            block=False,
            retries=False,
            ca_certs=settings.ca_file or None,
        )

    def run(
        self,
        statement: str,
        *,
        data: Sequence[bytes] = (),
        params: Mapping[str, Param] | None = None,
        timeout_s: float = _QUERY_TIMEOUT_S,
    ) -> bytes:
        """The answer to one statement, when it is over.

        `data` follows the statement, as rows do an INSERT's; `params` are the values of its
        `{name:Type}` places.  Raises `NotSentError`, `NoAnswerError` or `RefusedError`.
        """
        answer = self._ask(statement, data, {"wait_end_of_query": "1"}, params, timeout_s)
        with answer:
            return self._read(answer)

    def stream(
        self,
        statement: str,
        *,
        default_format: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, str] | None = None,
        timeout_s: float = _STREAM_TIMEOUT_S,
    ) -> "Answer":
        """The answer as it comes; `default_format` is for a statement without a FORMAT clause.

        `timeout_s` is the longest pause.  Raises as `run` does, from the answer's `chunks` too.
        """
        fields = {"default_format": default_format, **(settings or {})}
        answer = self._ask(statement, (), fields, params, timeout_s)
        return Answer(answer.headers.get("X-ClickHouse-Format", default_format), self._chunks(answer))

    def _ask(
        self,
        statement: str,
        data: Sequence[bytes],
        fields: Mapping[str, str],
        params: Mapping[str, Param] | None,
        timeout_s: float,
    ) -> urllib3.BaseHTTPResponse:
        places = {f"param_{name}": _escaped(value) for name, value in (params or {}).items()}
        # Not joined: the rows are many bytes.  With their length stated they go out as they are.
        pieces = (statement.encode(), b"\n", *data) if data else (statement.encode(),)
        length = {"Content-Length": str(sum(map(len, pieces)))}
        try:
            answer = self._pool.request(
                "POST",
                f"{self.url}/?{urlencode({**self._fields, **fields, **places})}",
                body=iter(pieces),
                headers=self._headers | length,
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=timeout_s),
                preload_content=False,
            )
        except (
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
            urllib3.exceptions.LocationValueError,
        ) as error:
            raise NotSentError(
                f"ClickHouse at {self.url} does not answer ({type(error).__name__}).",
                "Start it, or set KEYTRAIL_CLICKHOUSE_URL.",
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._broke_off(error) from error
        if answer.status != HTTPStatus.OK:
            with answer:
                raise self._failure(answer.status, answer.headers, self._read(answer))
        return answer

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        try:
            return answer.read()
        except urllib3.exceptions.HTTPError as error:
            raise self._broke_off(error) from error

    def _chunks(self, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        with answer:
            try:
                yield from answer.stream(_CHUNK_BYTES)
            except urllib3.exceptions.HTTPError as error:
                raise self._broke_off(error) from error

    def _broke_off(self, error: Exception) -> NoAnswerError:
        return NoAnswerError(
            f"ClickHouse at {self.url} broke off ({type(error).__name__}).",
            "Look at its log; the statement may have run.",
        )

    def rows(
        self,
        query: str,
        *,
        params: Mapping[str, Param] | None = None,
        timeout_s: float = _QUERY_TIMEOUT_S,
    ) -> list[Row]:
        """A query's rows, by column name; whole numbers of any size are ints.  Raises as `run` does."""
        fields = {"wait_end_of_query": "1", "output_format_json_quote_64bit_integers": "0"}
        with self._ask(f"{query}\nFORMAT JSONEachRow", (), fields, params, timeout_s) as answer:
            return [json.loads(line) for line in self._read(answer).splitlines()]

    def _failure(self, status: int, headers: Mapping[str, str], body: bytes) -> KeytrailError:
        said = body.decode("utf-8", "replace")
        stated = headers.get("X-ClickHouse-Exception-Code") or _first(_CODE, said)
        if not stated.isdigit():
            # A proxy, or a server that is going down: nobody says what became of the statement.
            return NoAnswerError(
                f"ClickHouse at {self.url} answers with HTTP status {status} and no error code.",
                "Look at its log, and at the proxy before it if there is one.",
            )
        if int(stated) == _UNKNOWN_STATUS:
            return NoAnswerError(
                f"ClickHouse at {self.url} cannot say whether it stored what it was sent: code {stated}.",
                "See whether its disk is full, and look at its log.",
            )
        names = _NAME.findall(said)
        return RefusedError(int(stated), names[-1] if names else "unnamed", said.strip())


def text(value: str) -> str:
    """A value as a string in a statement."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def whole(row: Row, column: str) -> int:
    """A whole number in a row.  Raises `TypeError` where the column holds something else."""
    value = row[column]
    if not isinstance(value, int):
        raise TypeError(f"column {column} is no whole number")
    return value


def _escaped(value: Param) -> str:
    """A parameter's value as ClickHouse reads it: escaped as in its TSV format, and an array as in SQL."""
    if not isinstance(value, str | int):
        return f"[{', '.join(text(item) if isinstance(item, str) else str(item) for item in value)}]"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _first(pattern: re.Pattern[str], said: str) -> str:
    found = pattern.search(said)
    return found[1] if found else ""
