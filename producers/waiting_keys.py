"""Keys of people that Kafka has not yet, kept with the spool: a killed process's events stay readable.

Each run has a file of its own, locked while it runs: a record a line, wrapped as it goes to Kafka.
"""

import fcntl
import json
import os
import uuid
from pathlib import Path

from keytrail.schemas.errors import UsageError

_SUFFIX = ".subject-keys"


class WaitingKeys:
    """Not thread-safe.  `add` and `clear` raise `OSError`; the constructor `UsageError` for a folder that
    cannot be written.

    `taken_over`: the records that ended runs have left, which are now this run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(
                f"The spool {folder} cannot be written ({error.strerror}).", "Give the service rights to it."
            ) from error
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.any = False
        self.taken_over: list[tuple[str, bytes]] = []
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            if path != self._path:
                self._take_over(path)

    def add(self, name: str, value: bytes) -> None:
        line = json.dumps([name, value.decode()]) + "\n"
        os.write(self._file, line.encode())
        self.any = True

    def clear(self) -> None:
        """Kafka has all of them."""
        os.ftruncate(self._file, 0)
        self.any = False

    def close(self, *, all_sent: bool) -> None:
        if all_sent:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _take_over(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for line in path.read_bytes().splitlines():
                try:
                    name, value = json.loads(line)
                except ValueError:
                    continue  # torn: whoever wrote it was killed before it sealed anything with that key
                self.add(str(name), str(value).encode())
                self.taken_over.append((str(name), str(value).encode()))
            path.unlink()
        except (BlockingIOError, FileNotFoundError):
            return  # another run's that goes on, or has just taken it over
        finally:
            os.close(file)
