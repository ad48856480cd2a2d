"""The engine in this process: connections, the statements they run, and how to stop one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from chdb import _chdb

from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode

# The raw binding, not chdb.Connection: only it tells what a statement would do before it is run.
_BINDING: Any = _chdb
# clickhouse-local takes a bare expression for a SELECT; a server calls it a syntax error.
_OPTIONS = "implicit_select=0"
_SETTING_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


@dataclass(frozen=True)
class Outcome:
    """What a statement gave: `data` is a result in its format, the rest are counts for the client."""

    data: bytes = b""
    result_rows: int = 0
    result_bytes: int = 0
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0


class EngineConnection:
    """One connection of its own: database, settings and temporary tables are not shared.

    Statements on it run one after another, so use it from one thread at a time; several connections
    run side by side.  Every method blocks and raises `EngineError` with the engine's own text.
    """

    def __init__(self, target: str) -> None:
        try:
            self._inner: Any = _BINDING.connect(target)
        except RuntimeError as error:
            raise EngineError.from_engine(str(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, sql: bytes, result_format: str, params: Mapping[str, str] | None = None) -> Outcome:
        """Runs `sql` as it is; `params` fill its `{name:Type}` places, values escaped as in TSV."""
        try:
            result = self._inner.query(sql, result_format, params=dict(params or {}))
        except RuntimeError as error:
            raise EngineError.from_engine(str(error)) from None
        data = result.bytes()
        return Outcome(
            data=data,
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read() or len(data),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            elapsed_s=result.elapsed(),
        )

    def reads_only(self, sql: bytes) -> bool | None:
        """Whether `sql` changes nothing, without running it; None where it cannot be parsed."""
        report = self._inner.classify_query(sql)
        return (
            bool(report["query_class"] == _BINDING.query_class.READ_ONLY)
            if report["statement_count"]
            else None
        )

    def set(self, settings: Mapping[str, str | None]) -> None:
        """Sets each for this connection; None puts back the default.  All or none."""
        if not settings:
            return
        for name in settings:
            if not name or not _SETTING_LETTERS.issuperset(name):
                raise EngineError.of(ErrorCode.UNKNOWN_SETTING, f"Unknown setting {quoted(name)}.")
        parts = (
            f"{name}={'DEFAULT' if value is None else quoted(value)}" for name, value in settings.items()
        )
        self.run(f"SET {', '.join(parts)}".encode(errors="surrogateescape"), "Null")

    def use(self, database: str) -> None:
        name = database.replace("\\", "\\\\").replace("`", "\\`")
        self.run(f"USE `{name}`".encode(errors="surrogateescape"), "Null")

    def text(self, sql: str) -> list[list[str]]:
        """The result of `sql` as rows of plain strings."""
        data = self.run(sql.encode(), "JSONCompactEachRow").data
        return [[str(cell) for cell in json.loads(line)] for line in data.splitlines()]

    def close(self) -> None:
        self._inner.close()


class Engine:
    """The one engine of this process, on the data in `folder`; open until `close`, usable from any thread.

    Raises `EngineError` or `OSError` where the data cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._target = f"{folder.absolute()}?{_OPTIONS}"
        self._control = EngineConnection(self._target)
        self._control_lock = Lock()
        ((self.version, self.timezone),) = self._control.text("SELECT version(), timezone()")

    def connect(self) -> EngineConnection:
        """A new connection (about 0.2 ms); the caller closes it."""
        return EngineConnection(self._target)

    def stop(self, marker: str) -> None:
        """Asks every running statement that has `marker` in its text to end soon with an error.

        The empty marker means all; this very statement is among them, and ends by itself.
        """
        with self._control_lock:
            self._control.run(
                f"KILL QUERY WHERE position(query, {quoted(marker)}) > 0 ASYNC".encode(), "Null"
            )

    def close(self) -> None:
        """Ends the engine; all data is on disk when every other connection was closed before."""
        self.stop("")
        with self._control_lock:
            self._control.close()


def quoted(text: str) -> str:
    """`text` as a string literal of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
