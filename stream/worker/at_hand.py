"""Which record a task has at hand, kept where the death of the process cannot take it.

A record that kills its worker twice is poison: the third time it is set aside instead (decision 016).
The notes lie in a memory-mapped file: to note an offset costs a memory write, and what a process wrote
there outlives it.  The workers of a machine share the file; each partition has its own place in it.
"""

import logging
import mmap
import os
from pathlib import Path

logger = logging.getLogger(__name__)

FILE = "at-hand"
DEATHS = 2
_PARTITIONS = 4_096
_AT_HAND, _SUSPECT, _DEATHS, _WORDS = 0, 1, 2, 3
_WORD = 8


class Slot:
    """One partition's notes.  For one thread at a time; `begin` comes before everything else."""

    def __init__(self, words: "memoryview[int] | None" = None) -> None:
        """Without words, notes are kept in memory alone: for tests and backtests."""
        self._words = memoryview(bytearray(_WORD * _WORDS)).cast("q") if words is None else words
        self.poison: int | None = None

    def begin(self, committed: int) -> int | None:
        """See what the last owner had at hand when it ended; gives the offset that is poison, if one is.

        What lies before `committed` is done with, whatever is noted of it.
        """
        words = self._words
        died_at, words[_AT_HAND] = words[_AT_HAND], 0
        if died_at and died_at == words[_SUSPECT]:
            words[_DEATHS] += 1
        elif died_at:
            words[_SUSPECT], words[_DEATHS] = died_at, 1
        suspect = words[_SUSPECT] - 1
        self.poison = suspect if suspect >= committed and words[_DEATHS] >= DEATHS else None
        return self.poison

    def mark(self, offset: int) -> None:
        """The record at `offset` is taken in hand."""
        self._words[_AT_HAND] = offset + 1

    def clear(self) -> None:
        """Nothing is at hand."""
        self._words[_AT_HAND] = 0


class AtHand:
    """The file in `folder`.  Where it cannot be made, notes are kept in memory, and a log line says so."""

    def __init__(self, folder: Path) -> None:
        self._notes: memoryview[int] | None = None
        size = 2 * _PARTITIONS * _WORDS * _WORD
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Written ahead: on a full disk, a page of a file with holes would end the process.
                os.posix_fallocate(handle, 0, size)
                self._notes = memoryview(mmap.mmap(handle, size)).cast("q")
            finally:
                os.close(handle)
        except OSError as error:
            logger.warning(
                "%s cannot be written (%s): a record that kills the worker will be tried without end. "
                "Give the worker a folder that it may write to, with --data-dir.",
                *(folder / FILE, error.strerror),
            )

    def slot(self, is_event: bool, partition: int) -> Slot:
        """The notes on a partition of the events topic, or else of the signals topic."""
        if self._notes is None or partition >= _PARTITIONS:
            return Slot()
        at = (partition + (0 if is_event else _PARTITIONS)) * _WORDS
        return Slot(self._notes[at : at + _WORDS])
