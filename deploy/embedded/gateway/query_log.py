"""The log of what readers asked: a statement is written down before it runs, and again when it is over.

Lines of JSON in `queries-N.jsonl`; the numbers rise.  `Begun` and `Ended` of a statement have the same `id`
and stand in the same file.  A gateway that starts begins a new file: what has no end in the one before was
cut off.  Whoever forwards the log (`keytrail readers forward`) removes files that are done with.
"""

import hashlib
import json
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from keytrail.deploy.embedded.gateway.config import MIB
from keytrail.schemas.query_log import MAX_TEXT, Begun, Ended, log_files, numbered
from keytrail.schemas.readers import Reader

_MAX_BYTES = 16 * MIB


@dataclass(frozen=True)
class Asker:
    """Who sends a statement, and from where."""

    reader: Reader
    address: str
    user_agent: str


class QueryLog:
    """Writes the log of one gateway.  Thread-safe; every method blocks and may raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._open: set[str] = set()
        self._file: BinaryIO | None = None
        if log_files(folder):
            self._begin_file()

    def begin(self, asker: Asker, text: bytes) -> str:
        """The statement is on disk when this returns; its id."""
        query_id = str(uuid.uuid4())
        shown = text.decode(errors="replace")
        reader = asker.reader
        entry = Begun(
            id=query_id,
            at=time.time_ns() // 1000,
            reader=reader.name,
            role=reader.role,
            team=reader.team,
            key_id=reader.key_id,
            address=asker.address,
            user_agent=asker.user_agent,
            query=shown[:MAX_TEXT],
            digest=hashlib.sha256(text).hexdigest(),
        )
        with self._lock:
            if self._file is None or (not self._open and self._file.tell() > _MAX_BYTES):
                self._begin_file()
            self._open.add(query_id)
            self._write({"begun": asdict(entry)})
        return query_id

    def end(self, ended: Ended) -> None:
        with self._lock:
            self._open.discard(ended.id)
            self._write({"ended": asdict(ended)})

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _begin_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        number = max(map(numbered, log_files(self._folder)), default=0) + 1
        self._file = (self._folder / f"queries-{number}.jsonl").open("xb")

    def _write(self, entry: dict[str, object]) -> None:
        if self._file is None:
            return
        self._file.write(json.dumps(entry, ensure_ascii=False).encode(errors="replace") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
