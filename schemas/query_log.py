"""What the embedded ClickHouse writes down of readers' statements, and where: the form both sides share."""

import re
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.records import Micros

FOLDER = "queries"
MAX_TEXT = 4_096  # characters of a statement that are kept; the digest is of all of it
_NAME = re.compile(r"queries-(\d+)\.jsonl")


@dataclass(frozen=True)
class Begun:
    """A statement that is about to run; `digest` is the SHA-256 of its whole text."""

    id: str
    at: Micros
    reader: str
    role: str
    team: str
    key_id: str
    address: str
    user_agent: str
    query: str
    digest: str


@dataclass(frozen=True)
class Ended:
    """How it went: `outcome` is success, failure or denied; `code` is ClickHouse's, 0 for none."""

    id: str
    at: Micros
    outcome: str
    code: int = 0
    result_rows: int = 0
    read_rows: int = 0


def numbered(file: Path) -> int:
    """The number in the name of a log file; 0 for another file."""
    found = _NAME.fullmatch(file.name)
    return int(found[1]) if found else 0


def log_files(folder: Path) -> list[Path]:
    """The files of the log, the oldest first; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if numbered(file)), key=numbered)
