"""Watches the tables past the proxies: is there progress, and how long after a fault?"""

import threading
import time
from dataclasses import dataclass, field

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

_POLL_S = 0.25
_TIMEOUT_S = 3.0
# What was already on its way when the fault came may land once; what lands again came through since.
_ADVANCES = 2
_NEWEST = "SELECT kafka_partition AS p, max(kafka_offset) AS o, count() AS n FROM events GROUP BY p"


@dataclass
class Recovery:
    """`after_s` is None until every partition has got rows again, and again."""

    began: float
    after_s: float | None = None
    advances: dict[int, int] = field(default_factory=dict)


class Monitor:
    """A thread that asks ClickHouse a few times a second.  Its methods may be called from any thread."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
        self._partitions = partitions
        self._changed = threading.Condition()
        self._newest: dict[int, int] = {}
        self._waiting: list[Recovery] = []
        self._ended = threading.Event()
        self.rows = 0
        self._thread = threading.Thread(target=self._watch, name="faults-monitor", daemon=True)
        self._thread.start()

    def begin(self) -> Recovery:
        """To be called when a fault begins."""
        recovery = Recovery(time.monotonic())
        with self._changed:
            self._waiting.append(recovery)
        return recovery

    def wait(self, recovery: Recovery, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: recovery.after_s is not None, timeout_s)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S):
            try:
                found = self._clickhouse.rows(_NEWEST, timeout_s=_TIMEOUT_S)
            except KeytrailError:
                continue  # it is ClickHouse's turn
            self._take(
                {int(str(row["p"])): int(str(row["o"])) for row in found},
                sum(int(str(row["n"])) for row in found),
            )

    def _take(self, newest: dict[int, int], rows: int) -> None:
        now = time.monotonic()
        with self._changed:
            advanced = [p for p, offset in newest.items() if offset > self._newest.get(p, -1)]
            self._newest, self.rows = newest, rows
            for recovery in self._waiting:
                for p in advanced:
                    recovery.advances[p] = recovery.advances.get(p, 0) + 1
                if sum(count >= _ADVANCES for count in recovery.advances.values()) >= self._partitions:
                    recovery.after_s = now - recovery.began
            self._waiting = [recovery for recovery in self._waiting if recovery.after_s is None]
            self._changed.notify_all()
