"""Records as they come from Kafka, whichever client read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from keytrail.schemas.records import Micros

Headers = Sequence[tuple[str, bytes | None]]


class SourceRecord(Protocol):
    """One record of one partition.

    `timestamp` is in milliseconds, by whichever clock the topic goes; `arrived` is by the broker's, and None
    where the topic keeps its producers' times.
    """

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def arrived(self) -> Micros | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True)
class Record:
    """A record made by hand: by a test or a backtest."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Headers = ()
    arrived: Micros | None = None


@dataclass(frozen=True)
class LostRecord(Record):
    """Stands for a record in a damaged batch that somebody chose to pass over: its content is not known."""

    value: None = None
