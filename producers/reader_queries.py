"""The embedded ClickHouse's log of readers' statements, as events: one a statement, always the same one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from keytrail.schemas.masters import write_secret
from keytrail.schemas.query_log import Begun, Ended, log_files
from keytrail.schemas.records import Event

SERVICE = "clickhouse"
CUT_OFF = "The engine ended before the statement did."


@dataclass
class _Reading:
    """How far a file is read, and what has begun in it and not ended, with its place."""

    place: int
    begun: dict[str, tuple[Begun, int]] = field(default_factory=dict)
    is_over: bool = False

    @property
    def safe_place(self) -> int:
        return min((at for _, at in self.begun.values()), default=self.place)


class QueryLogReader:
    """Reads a folder of the log from where the one before was done.  Not thread-safe.

    Where what `take` gave does not get to where it should, a new reader gives it again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readings: dict[Path, _Reading] = {}

    def take(self) -> Iterator[Event]:
        """The events of what has ended since; of a file that is not the newest, of everything."""
        files = log_files(self._folder)
        for file in files:
            reading = self._readings.setdefault(file, _Reading(_marked(file)))
            yield from _read(file, reading)
            if file != files[-1]:
                for statement, _ in reading.begun.values():
                    yield event_of(statement, Ended(statement.id, statement.at, "failure"), CUT_OFF)
                reading.is_over = True

    def done(self) -> None:
        """What `take` gave is safe.  Files that are read to their end are removed."""
        for file, reading in list(self._readings.items()):
            if reading.is_over:
                file.unlink()
                _mark(file).unlink(missing_ok=True)
                del self._readings[file]
            elif reading.safe_place != _marked(file):
                write_secret(_mark(file), str(reading.safe_place))


def _read(file: Path, reading: _Reading) -> Iterator[Event]:
    with file.open("rb") as lines:
        lines.seek(reading.place)
        for line in lines:
            if not line.endswith(b"\n"):
                return  # still being written, or cut off before the statement could run
            entry = json.loads(line)
            if "begun" in entry:
                statement = Begun(**entry["begun"])
                reading.begun[statement.id] = (statement, reading.place)
            elif (found := reading.begun.pop(entry["ended"]["id"], None)) is not None:
                yield event_of(found[0], Ended(**entry["ended"]))
            reading.place += len(line)


def event_of(begun: Begun, ended: Ended, error: str | None = None) -> Event:
    """The access event: who asked what, and how it went.  Its id is the statement's."""
    attributes = {
        "reader_role": begun.role,
        "query": begun.query,
        "query_sha256": begun.digest,
        "result_rows": str(ended.result_rows),
        "read_rows": str(ended.read_rows),
    }
    if begun.team:
        attributes["reader_team"] = begun.team
    return Event(
        event_id=begun.id,
        occurred_at=begun.at,
        recorded_at=ended.at,
        service=SERVICE,
        environment=None,
        actor_id=begun.reader,
        actor_type="human",
        key_id=begun.key_id or None,
        key_alias=None,
        action="query",
        subject=None,
        resource="clickhouse",
        outcome=ended.outcome,
        error=error or (f"ClickHouse's code {ended.code}" if ended.code else None),
        source_ip=begun.address or None,
        user_agent=begun.user_agent or None,
        attributes=attributes,
    )


def _mark(file: Path) -> Path:
    return file.with_suffix(".done")


def _marked(file: Path) -> int:
    try:
        return int(_mark(file).read_text())
    except (FileNotFoundError, ValueError):
        return 0
