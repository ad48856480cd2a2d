"""The load and the reference, as child processes that are told how far they may go."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from running import FindingRow

from keytrail.schemas.settings import Settings

_FOLDER = Path(__file__).parent
_POLL_S = 0.1


class Child:
    """A script of this folder with its lines going in and coming out.  To be used in a `with`."""

    def __init__(self, script: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_FOLDER / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def tell(self, number: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """No more will be told."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def lines(self) -> list[str]:
        """What is left to come, to the end of a process that succeeds."""
        assert self._process.stdout is not None
        rest = self._process.stdout.read().splitlines()
        assert self._process.wait() == 0, f"{self._process.args!r} failed"
        return rest


class Feeding:
    """Keeps the load at most `ahead` events before the table, and the reference behind the load."""

    def __init__(
        self, settings: Settings, events: int, seed: int, rate: float, ahead: int, rows: Callable[[], int]
    ) -> None:
        self._load = Child("load.py", settings.kafka.bootstrap, settings.registry.url, events, seed, rate)
        self._reference = Child("reference.py", events, seed)
        self._events = events
        self._ahead = ahead
        self._rows = rows
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._pace, name="faults-pace", daemon=True)
        self.sent = 0

    def __enter__(self) -> "Feeding":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._load.__exit__()
        self._reference.__exit__()

    def stop(self) -> int:
        """How many events were sent in all; each is acknowledged."""
        self._stopped.set()
        self._thread.join()
        self._load.finish()
        last = self._load.lines()[-1]
        assert last.startswith("done ")
        self.sent = int(last.split()[1])
        self._reference.tell(self.sent)
        self._reference.finish()
        return self.sent

    def findings(self) -> set[FindingRow]:
        """The reference's, after `stop`."""
        return {
            FindingRow(rule, entity, cause, is_open, count, tuple(evidence))
            for rule, entity, cause, is_open, count, evidence in json.loads(self._reference.lines()[-1])
        }

    def _pace(self) -> None:
        while not self._stopped.is_set():
            self._load.tell(min(self._events, self._rows() + self._ahead))
            # What is stored was sent: the reference needs to know no more.
            self._reference.tell(self._rows())
            time.sleep(_POLL_S)
