"""Checkpoints: how large a log is and what its root is, in the form of C2SP's tlog-checkpoint.

Each partition of the enriched topic is a log of its own, named by the topic's id and the partition's
number.  Two lines of ours follow the root: the offset before which every record is a leaf, and the time.
Source: https://c2sp.org/tlog-checkpoint
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from keytrail.schemas.records import Micros
from keytrail.sinks.proof.merkle import HASH_BYTES
from keytrail.sinks.proof.note import NoteError

_ORIGIN = re.compile(r"keytrail/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(0|[1-9][0-9]{0,8})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_BEFORE = "before "
_AT = "at "
_LINES = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Log(NamedTuple):
    """A partition of one incarnation of the enriched topic."""

    incarnation: str
    partition: int

    @property
    def origin(self) -> str:
        return f"keytrail/{self.incarnation}/{self.partition}"


@dataclass(frozen=True)
class Checkpoint:
    """The log's records before offset `before` are `size` leaves, whose tree has this root.

    It was made `at`, in microseconds, when every one of them had been stored or set aside.
    """

    log: Log
    size: int
    root: bytes
    before: int
    at: Micros

    @property
    def text(self) -> str:
        root = base64.b64encode(self.root).decode()
        return f"{self.log.origin}\n{self.size}\n{root}\n{_BEFORE}{self.before}\n{_AT}{utc(self.at)}\n"

    @classmethod
    def of_text(cls, text: str) -> "Checkpoint":
        """Raises `NoteError` for what is no checkpoint of ours."""
        lines = text.splitlines()
        if len(lines) != _LINES:
            raise NoteError("It is no checkpoint: it has not five lines.")
        origin, size, encoded, before, at = lines
        try:
            named = _ORIGIN.fullmatch(origin)
            root = base64.b64decode(encoded, validate=True)
            if named is None or len(root) != HASH_BYTES:
                raise ValueError
            found = cls(
                Log(named[1], int(named[2])),
                _number(size),
                root,
                _number(before.removeprefix(_BEFORE)),
                micros(at.removeprefix(_AT)),
            )
        except ValueError:
            raise NoteError("It is no checkpoint of keytrail's.") from None
        if found.text != text:
            raise NoteError("It is no checkpoint of keytrail's.")
        return found


def utc(at: Micros) -> str:
    """A time as text: 2026-12-31T23:59:59.000000Z."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")[:-6] + "Z"


def micros(text: str) -> Micros:
    """From `utc`.  Raises `ValueError`."""
    if not text.endswith("Z"):
        raise ValueError(f"{text!r} is no time in UTC")
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)
