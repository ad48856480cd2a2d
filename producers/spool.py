"""Events on disk, in order, while they wait for Kafka.

Each run of a producer has a folder of its own under the spool's, locked while the run lives.  In it lie
numbered segments, which only grow, and `position`: how far all is delivered, which may trail.  A run that
starts takes over the folders whose runs are dead, and delivers what is left in them first.

What was appended survives the end of the process at once, and the end of the machine once it is synced:
that is done at most once a second, and only while something waits.  What a crash left half written has a
wrong length or checksum, and is left out.
"""

import fcntl
import logging
import os
import struct
import time
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from keytrail.producers.losses import Loss
from keytrail.producers.sealed import Sealed, frame, framed_text, text_frame, unframed

_LOG = logging.getLogger("keytrail.producers")
_SUFFIX = ".events"
_LOCK = "lock"
_POSITION = "position"
_RUN = "run-"
_NEW = ".new-"
_PLACE = struct.Struct("<QQI")
_SEGMENT_BYTES = 16 << 20
_LEAST_SEGMENT_BYTES = 64 << 10
_SEGMENTS = 16
_CHUNK_BYTES = 4 << 20  # holds the largest event
_SYNC_EVERY_S = 1.0
FULL = "the spool is full"


class Spool:
    """The spool of one run.  Not thread-safe; nothing is touched before the first call."""

    def __init__(self, folder: Path, limit_bytes: int, run: str, producer_id: str) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, max(_LEAST_SEGMENT_BYTES, limit_bytes // _SEGMENTS))
        self._run = f"{_RUN}{run}"
        self._producer_id = producer_id
        self._left_over: deque[_Run] | None = None
        self._own: _Run | None = None
        self._reading: _Run | None = None
        self._losses: list[Loss] = []
        self._synced_at = time.monotonic()

    @property
    def bytes(self) -> int:
        """What all of it takes on disk, left-over segments too."""
        return sum(sum(run.sizes.values()) for run in self._runs())

    def adopt(self) -> None:
        """Take over what dead runs left.  Raises `OSError` where the folder cannot be used."""
        if self._left_over is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Sorted by name they are in the order in which they began.
        paths = sorted(path for path in self._folder.glob(f"{_RUN}*") if path.name != self._run)
        found = (_Run.adopted(path) for path in paths)
        self._left_over = deque(run for run in found if run is not None)

    def append(self, batch: Sequence[Sealed]) -> int:
        """How many of the first were kept; raises `OSError` where none was.  May give up the oldest."""
        if self._own is None:
            self._own = _Run.new(self._folder, self._run, self._producer_id)
        kept = 0
        while kept < len(batch):
            try:
                kept += self._append(self._own, batch, kept)
            except OSError:
                if kept == 0:
                    raise
                break
        return kept

    def read(self, most: int) -> list[Sealed]:
        """The oldest events that are not delivered, `most` or fewer; [] where there are none."""
        while (run := self._oldest()) is not None:
            if window := run.read(most):
                self._reading = run
                return window
            if run is self._own:
                break
            run.remove()
            if self._left_over:
                self._left_over.popleft()
        return []

    @property
    def reading_own(self) -> bool:
        """Whether what was read last is of this run."""
        return self._reading is self._own

    @property
    def reading_from(self) -> str:
        """The producer id of the run of which the last events were read."""
        return self._reading.producer_id if self._reading is not None else self._producer_id

    def advance(self) -> None:
        """What was read last is delivered."""
        if self._reading is not None:
            self._reading.advance()

    def sync(self) -> None:
        """Have what waits on the disk itself, if that was not done within the last second."""
        now = time.monotonic()
        if self._own is not None and self._own.unsynced and now - self._synced_at >= _SYNC_EVERY_S:
            self._synced_at = now
            self._own.sync()

    def take_losses(self) -> list[Loss]:
        """What was given up for want of room since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def close(self) -> None:
        """Let go of the folders, for a later run to take over what is left in them."""
        for run in self._runs():
            with suppress(OSError):
                if run.is_empty:
                    run.remove()
                else:
                    run.sync()
            run.release()

    def leave_to_parent(self) -> None:
        """In a forked child: hold no lock for the parent, which else would outlive it."""
        for run in self._runs():
            run.release()

    def _runs(self) -> list["_Run"]:
        return [*(self._left_over or ()), *([self._own] if self._own is not None else [])]

    def _oldest(self) -> "_Run | None":
        return self._left_over[0] if self._left_over else self._own

    def _append(self, own: "_Run", batch: Sequence[Sealed], start: int) -> int:
        room = self._segment_bytes - own.size
        if room <= 0:
            own.roll()
            room = self._segment_bytes
        frames: list[bytes] = []
        for sealed in islice(batch, start, None):
            frames.append(frame(sealed))
            room -= len(frames[-1])
            if room <= 0:
                break
        data = b"".join(frames)
        self._make_room(self.bytes + len(data) - self._limit)
        own.write(data)
        return len(frames)

    def _make_room(self, excess: int) -> None:
        for run in self._runs():
            while excess > 0 and (dropped := run.drop_segment()) is not None:
                size, loss = dropped
                excess -= size
                if loss is not None:
                    self._losses.append(loss)
            if self._left_over and run is self._left_over[0] and not run.sizes:
                run.remove()
                self._left_over.popleft()


class _Run:
    """One run's folder.  `sizes` are its segments, oldest first; places are (segment, offset)."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock
        self._file = -1
        self._position = -1
        self._active = 0
        self.producer_id = ""
        self.sizes: dict[int, int] = {}
        self._delivered = self._read_end = (0, 0)
        self.unsynced = False

    @classmethod
    def new(cls, folder: Path, name: str, producer_id: str) -> "_Run":
        # Locked before it has its name: so nobody takes it for that of a dead run.
        hidden = folder / f"{_NEW}{name}"
        hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(hidden, os.O_CREAT)
        if lock is None:
            raise OSError(f"{hidden} is in use")
        run = cls(folder / name, lock)
        try:
            run.producer_id = producer_id
            hidden.rename(run._path)
            run._position = os.open(run._path / _POSITION, os.O_RDWR | os.O_CREAT, 0o600)
            run.roll()
        except OSError:
            run.remove()
            raise
        return run

    @classmethod
    def adopted(cls, path: Path) -> "_Run | None":
        """The run whose folder this was; None where it lives, or nothing is left of it."""
        lock = _locked(path)
        if lock is None:
            return None
        run = cls(path, lock)
        try:
            run._position = os.open(path / _POSITION, os.O_RDWR | os.O_CREAT, 0o600)
            run.sizes = {int(file.stem): file.stat().st_size for file in sorted(path.glob(f"*{_SUFFIX}"))}
            place = _place(os.pread(run._position, _PLACE.size, 0))
            if place[0] in run.sizes:
                run._delivered = run._read_end = place
            run._drop_before(place[0])
            if run.sizes:
                run._unframed(min(run.sizes), 0)
        except (OSError, ValueError) as error:
            run.release()
            _LOG.warning("what waits in %s cannot be taken over: %s", path, error)
            return None
        return run

    @property
    def size(self) -> int:
        return self.sizes[self._active]

    @property
    def is_empty(self) -> bool:
        return not self.read(1)

    def roll(self) -> None:
        """Begin a new segment."""
        number = self._active + 1
        start = text_frame(self.producer_id)
        file = os.open(self._segment(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _write(file, start, 0)
        except OSError:
            os.close(file)
            self._segment(number).unlink(missing_ok=True)
            raise
        if self._file >= 0:
            if self.unsynced:
                os.fdatasync(self._file)
            os.close(self._file)
        self._file, self._active = file, number
        self.sizes[number] = len(start)

    def write(self, data: bytes) -> None:
        """All of it or nothing: raises `OSError`."""
        _write(self._file, data, self.size)
        self.sizes[self._active] += len(data)
        self.unsynced = True

    def sync(self) -> None:
        if self._file >= 0:
            os.fdatasync(self._file)
        self.unsynced = False

    def read(self, most: int) -> list[Sealed]:
        for number in list(self.sizes):
            if number < self._delivered[0]:
                continue
            start = self._delivered[1] if number == self._delivered[0] else 0
            found = list(islice(self._unframed(number, start), most))
            if found:
                self._read_end = (number, found[-1][1])
                return [sealed for sealed, _ in found]
        return []

    def advance(self) -> None:
        self._delivered = self._read_end
        self._drop_before(self._delivered[0])
        if self._delivered == (self._active, self.sizes.get(self._active)):
            self.unsynced = False
        with suppress(OSError):
            place = struct.pack("<QQ", *self._delivered)
            os.pwrite(self._position, place + struct.pack("<I", zlib.crc32(place)), 0)

    def drop_segment(self) -> tuple[int, Loss | None] | None:
        """Give up the oldest segment but that of what was read: its bytes, and what was lost with it.

        None where there is none.
        """
        under_way = self._read_end[0] if self._read_end != self._delivered else None
        number = min((number for number in self.sizes if number != under_way), default=None)
        if number is None:
            return None
        at = self._delivered[1] if number == self._delivered[0] else 0
        count, first, last = 0, 0, 0
        while found := self._unframed(number, at):
            count, at = count + len(found), found[-1][1]
            first, last = first or found[0][0].sequence, found[-1][0].sequence
        if number == self._active:
            if not count:
                return None
            self.roll()
        if under_way is None:
            self._delivered = self._read_end = (number + 1, 0)
        size = self.sizes.pop(number)
        self._segment(number).unlink(missing_ok=True)
        return size, Loss(self.producer_id, count, first, last, FULL) if count else None

    def remove(self) -> None:
        """Delete the folder, if nothing else is in it."""
        for file in (*map(self._segment, self.sizes), self._path / _POSITION, self._path / _LOCK):
            with suppress(OSError):
                file.unlink()
        with suppress(OSError):
            self._path.rmdir()
        self.sizes.clear()
        self.release()

    def release(self) -> None:
        for file in (self._file, self._position, self._lock):
            if file >= 0:
                with suppress(OSError):
                    os.close(file)
        self._file = self._position = self._lock = -1

    def _unframed(self, number: int, start: int) -> "list[tuple[Sealed, int]]":
        """A chunk's events from `start` on, with the places where they end."""
        try:
            file = os.open(self._segment(number), os.O_RDONLY)
        except FileNotFoundError:
            _LOG.warning("%s is gone, and the events in it", self._segment(number))
            return []
        try:
            if start == 0:
                head = framed_text(os.pread(file, _LEAST_SEGMENT_BYTES, 0))
                if head is None:
                    return []
                self.producer_id, start = head
            data = os.pread(file, _CHUNK_BYTES, start)
        finally:
            os.close(file)
        found = [(sealed, start + end) for sealed, end in unframed(data)]
        whole = found[-1][1] if found else start
        if not found and whole < self.sizes[number]:
            _LOG.warning("%s is damaged from byte %d on, which is left out", self._segment(number), whole)
        return found

    def _drop_before(self, number: int) -> None:
        for old in [old for old in self.sizes if old < number and old != self._active]:
            del self.sizes[old]
            self._segment(old).unlink(missing_ok=True)

    def _segment(self, number: int) -> Path:
        return self._path / f"{number:012d}{_SUFFIX}"


def _locked(folder: Path, create: int = 0) -> int | None:
    """The folder's lock; None where another holds it, or there is none."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | create, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def _place(data: bytes) -> tuple[int, int]:
    """A position as it was written, or the beginning where it cannot be read."""
    if len(data) == _PLACE.size and zlib.crc32(data[:16]) == _PLACE.unpack(data)[2]:
        segment, offset, _ = _PLACE.unpack(data)
        return segment, offset
    return 0, 0


def _write(file: int, data: bytes, size: int) -> None:
    """Append to a file of this size, or leave it as it was and raise `OSError`."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, size)
        raise
