"""Sees to it that no part outlives the supervisor, not even one that was killed with -9.

The warden is a process of its own at the end of a pipe from the supervisor.  When the pipe closes,
it stops what the supervisor had running (SIGTERM, then SIGKILL to each process group), removes the
files that say the stack is up, and ends; until then it holds the data directory's lock.

This file runs as a plain script without site packages, so that it starts in milliseconds and stays
small: it imports the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_GRACE_S = 10.0


class Warden:
    """The supervisor's end of the pipe.  Not thread-safe."""

    def __init__(self, lock_fd: int, stack_files: Sequence[Path], grace_s: float = _GRACE_S) -> None:
        """`lock_fd` is kept open, `stack_files` are removed; SIGKILL comes `grace_s` after SIGTERM."""
        self._lock_fd = lock_fd
        self._grace_s = grace_s
        self._stack_files = stack_files
        self._groups: set[int] = set()
        self._process, self._pipe = self._start()

    def watch(self, group: int) -> None:
        """`group` (a process group's id) must not outlive this process."""
        self._groups.add(group)
        self._send(f"+{group}")

    def forget(self, group: int) -> None:
        self._groups.discard(group)
        self._send(f"-{group}")

    def dismiss(self) -> None:
        """Ends the warden; whatever it still watches is stopped.  Blocks until it has ended."""
        os.close(self._pipe)
        self._process.wait()

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        read_end, write_end = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self._grace_s), *map(str, self._stack_files)],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._lock_fd,),
        )
        os.close(read_end)
        return process, write_end

    def _send(self, line: str) -> None:
        try:
            self._write(line)
        except BrokenPipeError:  # it was killed: another takes over
            os.close(self._pipe)
            self._process.wait()
            self._process, self._pipe = self._start()
            self._write(*(f"+{group}" for group in self._groups))

    def _write(self, *lines: str) -> None:
        for line in lines:
            os.write(self._pipe, f"{line}\n".encode())


def _signal(groups: set[int], number: int) -> set[int]:
    """The groups that are still there to be signalled."""
    left = set()
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            left.add(group)
    return left


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for path in sys.argv[2:]:
        with contextlib.suppress(OSError):
            Path(path).unlink()
    deadline = time.monotonic() + float(sys.argv[1])
    groups = _signal(groups, signal.SIGTERM)
    while groups and time.monotonic() < deadline:
        time.sleep(0.05)
        groups = _signal(groups, 0)
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    _main()
