"""A small file system of its own under a folder, which can be filled to the last byte."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PIECE = b"\0" * (1 << 16)
_TIMEOUT_S = 30


class SmallDisk:
    """The test's own mount; `fill` leaves no room, `free` gives it back."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            for piece in (_PIECE, b"\0"):
                with suppress(OSError):
                    while True:
                        file.write(piece)

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Skips the test where this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "keytrail-test", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], timeout=_TIMEOUT_S, check=True)
