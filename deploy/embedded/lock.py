"""One stack a data directory: `stack.lock` names its supervisor's pid, and is locked while it runs.

The warden holds the lock too, so it is free only once the last part has stopped.
"""

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.errors import UsageError

LOCK_FILE = "stack.lock"
_LOOK_S = 0.5  # `holder` takes the lock for an instant, which is no stack
_CLEAN_UP_S = 30.0  # how long a killed supervisor's parts may take to stop
_POLL_S = 0.05


@dataclass(frozen=True)
class StackLock:
    """Held as long as any process has `fd` open."""

    fd: int

    def release(self) -> None:
        os.close(self.fd)


def acquire(
    data_dir: Path,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> StackLock:
    """Makes the directory where it is missing.  Waits while a killed stack's parts are being stopped.

    Raises `UsageError` where a stack runs on this directory, naming its pid, or it cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UsageError(
            f"{data_dir} cannot be used as data directory: {error}.", "Choose another --data-dir."
        ) from error
    started = clock()
    while not _try_lock(fd, fcntl.LOCK_EX):
        pid = _pid_in(fd)
        if clock() - started > (_LOOK_S if _is_alive(pid) else _CLEAN_UP_S):
            os.close(fd)
            raise UsageError(
                f"A stack already runs on {data_dir} (pid {pid}).",
                f"Stop it with `keytrail down --data-dir {data_dir}`, or choose another --data-dir.",
            )
        sleep(_POLL_S)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return StackLock(fd)


def holder(data_dir: Path) -> int | None:
    """The pid of the stack that holds the lock, which may just have been killed; None where none does."""
    try:
        fd = os.open(data_dir / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if _try_lock(fd, fcntl.LOCK_SH) else _pid_in(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_in(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
