"""The parts' log files: one each, rotated by size."""

from collections import deque
from contextlib import suppress
from pathlib import Path


class RotatingLog:
    """Appends to `path`; at `max_bytes` it becomes `path`.1, the older ones .2 and so on, `keep` of them.

    What cannot be written, on a full disk for instance, is dropped: a part must not stand still for
    its log.  Not thread-safe.
    """

    def __init__(self, path: Path, max_bytes: int = 10_000_000, keep: int = 3) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        with suppress(OSError):
            if self._size and self._size + len(data) > self._max_bytes:
                self._rotate()
            self._size += self._file.write(data)

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        rotate(self._path, self._keep)
        fresh = self._path.open("ab", buffering=0)
        self._file.close()
        self._file, self._size = fresh, 0


def rotate(path: Path, keep: int) -> None:
    """Renames `path` to `path`.1, `path`.1 to `path`.2 ...; the one past `keep` is gone."""
    for number in range(keep, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.replace(older)


def tail(path: Path, lines: int = 15) -> list[str]:
    """The file's last lines, or none where it is not there."""
    try:
        with path.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
    except FileNotFoundError:
        return []
