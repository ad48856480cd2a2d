"""What `keytrail status` shows of the parts: kept in `parts.json`, replaced whole at each change."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

PARTS_FILE = "parts.json"

State = Literal["starting", "ready", "waiting to restart", "stopping", "stopped"]


@dataclass(frozen=True)
class PartState:
    """`pid` and `started_at` (seconds since 1970) are those of the current process, 0 where there is none."""

    name: str
    state: State
    pid: int
    restarts: int
    port: int | None
    started_at: float


@dataclass(frozen=True)
class PartStatus:
    """`rss_bytes` is the memory in use now, 0 where it cannot be told."""

    name: str
    state: State
    pid: int
    restarts: int
    port: int | None
    rss_bytes: int
    uptime_s: float


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new, never a part of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


def write_parts(data_dir: Path, parts: Sequence[PartState]) -> None:
    write_atomically(data_dir / PARTS_FILE, json.dumps([asdict(part) for part in parts], indent=1) + "\n")


def read_parts(data_dir: Path, now: float | None = None) -> tuple[PartStatus, ...]:
    """The parts in the order they were started; none where no stack runs or its file cannot be read."""
    try:
        found = [PartState(**part) for part in json.loads((data_dir / PARTS_FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return ()
    now = time.time() if now is None else now
    return tuple(
        PartStatus(
            part.name,
            part.state,
            part.pid,
            part.restarts,
            part.port,
            rss_bytes=_rss_bytes(part.pid) if part.pid else 0,
            uptime_s=max(0.0, now - part.started_at) if part.pid else 0.0,
        )
        for part in found
    )


def _rss_bytes(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError, subprocess.SubprocessError):  # not Linux
        ps = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=True
        )
        return int(ps.stdout) * 1024
    return 0
