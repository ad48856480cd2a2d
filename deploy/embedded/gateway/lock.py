"""One owner a data directory: the engine's files are lost if two processes write them."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from keytrail.schemas.errors import UnavailableError


class DirectoryLock:
    """Holds `gateway.lock` in `folder` from enter to exit; the system frees it when the process dies.

    Makes the folder where it is missing.  Raises `UnavailableError` where the folder cannot be used, and
    naming the owner's process id where another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._folder / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(
                f"Cannot use the data directory {self._folder}: {error.strerror}.",
                "Choose a --data-dir that this user may write to.",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._fd, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise UnavailableError(
                f"The data directory {self._folder} is in use by process {owner}.",
                "Stop that process, or choose another --data-dir.",
            ) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
