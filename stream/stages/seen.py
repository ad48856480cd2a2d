"""Which event ids a partition has seen lately, so that an event sent twice counts once.

Ids are kept as 64-bit BLAKE2b digests in arrival order, in chunks, at most `window` of
them; the oldest chunks go first.  At a million ids the chance that a new id meets another's
digest is 5e-14.  A duplicate that comes more than `window` events later is not recognised.
"""

import hashlib
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keytrail.stream.stages.store import StateChange

Digests = npt.NDArray[np.uint64]
PREFIX = b"seen/"
_CHUNK_NUMBER = 8
_FULL_CHUNK = 1_000  # ids


class SeenIds:
    """Not thread-safe."""

    def __init__(self, window: int = 1_000_000) -> None:
        self._window = window
        self._full_chunk = max(1, min(_FULL_CHUNK, window // 8))
        self._chunks: deque[tuple[int, Digests]] = deque()
        self._next = 0
        self._size = 0
        # Sorted runs of digests, newest last; neighbours of similar size are merged, so there
        # are about log2(window) of them to search.
        self._runs: list[Digests] = []
        self._runs_are_stale = False
        self._changes: list[StateChange] = []

    def __len__(self) -> int:
        return self._size

    def add(self, event_ids: Sequence[str]) -> list[bool]:
        """Take a batch's ids in; True for each that is new: neither seen before nor earlier in the batch."""
        if not event_ids:
            return []
        digests = np.array([_digest(event_id.lower()) for event_id in event_ids], dtype=np.uint64)
        distinct, first = np.unique(digests, return_index=True)
        is_new = np.zeros(len(digests), dtype=bool)
        is_new[first] = ~self._known(distinct)
        fresh = digests[is_new]
        if len(fresh):
            self._append(fresh)
            self._forget_oldest()
        return [bool(new) for new in is_new]

    def take_changes(self) -> list[StateChange]:
        changes, self._changes = self._changes, []
        return changes

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        number = int.from_bytes(key.removeprefix(PREFIX), "big")
        if value is None:
            while self._chunks and self._chunks[0][0] <= number:
                self._size -= len(self._chunks.popleft()[1])
        else:
            digests = np.frombuffer(value, dtype="<u8").astype(np.uint64)
            if self._chunks and self._chunks[-1][0] == number:
                self._size -= len(self._chunks.pop()[1])
            self._chunks.append((number, digests))
            self._size += len(digests)
            self._next = number + 1
        self._runs_are_stale = True

    def _known(self, digests: Digests) -> npt.NDArray[np.bool_]:
        if self._runs_are_stale:
            self._runs = [np.sort(np.concatenate([d for _, d in self._chunks]))] if self._chunks else []
            self._runs_are_stale = False
        known = np.zeros(len(digests), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, digests), len(run) - 1)
            known |= run[at] == digests
        return known

    def _append(self, digests: Digests) -> None:
        if self._chunks and len(self._chunks[-1][1]) + len(digests) <= self._full_chunk:
            # Light traffic: the newest chunk is filled up, so that there are not as many as batches.
            number, started = self._chunks.pop()
            chunk = np.concatenate([started, digests])
        else:
            number, chunk = self._next, digests
            self._next += 1
        self._chunks.append((number, chunk))
        self._changes.append(StateChange(_name(number), chunk.astype("<u8").tobytes()))
        self._size += len(digests)
        self._runs.append(np.sort(digests))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            merged = np.concatenate([self._runs.pop(), last])
            merged.sort(kind="stable")
            self._runs.append(merged)

    def _forget_oldest(self) -> None:
        if self._size <= self._window:
            return
        # A quarter at once: the runs are rebuilt, which costs too much to do for each batch.
        while self._chunks and self._size > self._window * 3 // 4:
            number, digests = self._chunks.popleft()
            self._size -= len(digests)
            self._changes.append(StateChange(_name(number), None))
        self._runs_are_stale = True


def _digest(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")


def _name(number: int) -> bytes:
    return PREFIX + number.to_bytes(_CHUNK_NUMBER, "big")
