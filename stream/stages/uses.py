"""The latest uses of each key in one partition, and what they were found to be.

What is known of a key may change after its uses were judged: it is registered, or word of its revocation
comes late.  Then the uses kept here are read from the events topic again and judged anew, so that in the end
the findings are the same in whichever order events and key changes came.

Of each key the `KEPT` latest uses by event time are kept.  Of the ones before them only a count is, by
finding: they are taken back all together where an unknown key is registered, and are not judged anew.
Beyond `MOST_KEYS` keys, the one that was not used for longest is forgotten.
"""

import json
import sys
from array import array
from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Micros
from keytrail.stream.detections import unknown_key
from keytrail.stream.errors import StateFormError
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.stages.store import StateChange, StateStore

FORM = 1  # of the packed state
KEPT = 16
MOST_KEYS = 100_000
PREFIX = "uses"


class Cause(NamedTuple):
    """Which finding a use counts for."""

    rule: str
    entity_type: str
    entity: str
    cause: str


@dataclass(slots=True)
class Uses:
    """Of one key.  `judged_by` names what was known of the key when they were judged, "" for an unknown key.

    `places` are (time, offset), in order; `causes` are those of places that have some, by offset, and
    `older` counts those of uses that are no longer kept, for the one rule whose findings may have to be
    taken back then: an unknown key that is registered after all.
    """

    judged_by: str = ""
    places: list[tuple[Micros, int]] = field(default_factory=list)
    causes: dict[int, tuple[Cause, ...]] = field(default_factory=dict)
    older: dict[Cause, int] = field(default_factory=dict)

    def add(self, at: Micros, offset: int, causes: tuple[Cause, ...]) -> None:
        if causes:
            self.causes[offset] = causes
        insort(self.places, (at, offset))
        if len(self.places) > KEPT:
            _, oldest = self.places.pop(0)
            if oldest in self.causes:
                for cause in filter(_is_taken_back, self.causes.pop(oldest)):
                    self.older[cause] = self.older.get(cause, 0) + 1


def _is_taken_back(cause: Cause) -> bool:
    """Whether it is of use to know how often, when the use itself is no longer kept."""
    return cause.rule == unknown_key.RULE.name


class KeyUses:
    """By the key's name, as events state it.  Not thread-safe."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._store: StateStore[Uses] = StateStore(PREFIX, pack, unpack)
        self._names: dict[str, None] = {}
        self._most = most
        self._reached = Micros(0)

    @property
    def prefix(self) -> bytes:
        return self._store.prefix

    @property
    def reached(self) -> Micros:
        """When the latest use of any key was."""
        return self._reached

    def note(
        self, name: str, key: KeyAtEvent, at: Micros, offset: int, causes: tuple[Cause, ...]
    ) -> str | None:
        """A use of the key `name`, judged by what `key` says.  Returns the name that was forgotten for it."""
        uses = self._store.get(name)
        if uses is None:
            uses = Uses(key.record_name)
        uses.add(at, offset, causes)
        self._reached = max(self._reached, at)
        return self.put(name, uses)

    def put(self, name: str, uses: Uses) -> str | None:
        """Returns the name that was forgotten for it."""
        self._names.pop(name, None)
        self._names[name] = None
        self._store.put(name, uses)
        if len(self._names) <= self._most:
            return None
        oldest = next(iter(self._names))
        del self._names[oldest]
        self._store.remove(oldest)
        return oldest

    def get(self, name: str) -> Uses | None:
        return self._store.get(name)

    def peek(self, name: str) -> Uses | None:
        """For one look: not to be changed."""
        return self._store.peek(name)

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of the names that were used here."""
        return [name for name in names if name in self._names]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def take_changes(self) -> list[StateChange]:
        return self._store.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._store.restore(key, value)
        name = key.removeprefix(self._store.prefix).decode()
        self._names.pop(name, None)
        if value is not None:
            self._names[name] = None
            self._reached = max(self._reached, _latest(value))


def pack(uses: Uses) -> bytes:
    """The state as stored: its length, places as 64-bit numbers, and what is rare as JSON."""
    flat = array("q", [number for place in uses.places for number in place])
    rare = [FORM, uses.judged_by]
    if uses.causes or uses.older:
        rare += [[[offset, *causes] for offset, causes in uses.causes.items()], [*uses.older.items()]]
    return bytes((len(uses.places),)) + flat.tobytes() + json.dumps(rare, separators=(",", ":")).encode()


def _latest(packed: bytes) -> Micros:
    """When the latest of the uses was."""
    last = 1 + 16 * (packed[0] - 1)
    return (
        Micros(int.from_bytes(packed[last : last + 8], sys.byteorder, signed=True))
        if packed[0]
        else Micros(0)
    )


def unpack(packed: bytes) -> Uses:
    ends = 1 + 16 * packed[0]
    flat = array("q")
    flat.frombytes(packed[1:ends])
    form, judged_by, *rare = json.loads(packed[ends:])
    if form != FORM:
        raise StateFormError("uses", form)
    causes, older = rare or ((), ())
    return Uses(
        judged_by,
        list(zip(flat[::2], flat[1::2], strict=True)),
        {offset: tuple(Cause(*cause) for cause in some) for offset, *some in causes},
        {Cause(*cause): count for cause, count in older if _is_taken_back(Cause(*cause))},
    )
