"""The file with the master secrets: JSON, name to base64, oldest first; only its owner may read it."""

import base64
import json
import os
import secrets
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.signature import SECRET_BYTES, Masters

_OTHERS = 0o007


class MasterFile:
    """The master secrets as the file has them now.  Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: tuple[int, int] | None = None
        self._masters = Masters({})

    def current(self) -> Masters:
        """Read anew where the file has changed; none where there is no file.

        Raises `UsageError` for a file that everybody may read, or that holds something else.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._read_at, self._masters = None, Masters({})
            return self._masters
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._read_at:
            self._masters = Masters(read_secrets(self.path))
            self._read_at = stamp
        return self._masters

    def add(self) -> str:
        """Make a new master secret, by which secrets are derived from now on; its name.

        The older ones stay, so that secrets derived from them go on working.
        """
        known = _read(self.path) if self.path.exists() else {}
        number = len(known) + 1
        while f"m{number}" in known:
            number += 1
        name = f"m{number}"
        every = {**known, name: secrets.token_bytes(SECRET_BYTES)}
        text = json.dumps({n: base64.b64encode(secret).decode() for n, secret in every.items()}, indent=1)
        write_secret(self.path, text + "\n")
        return name


def read_secrets(path: Path) -> dict[str, bytes]:
    """The secrets by name, oldest first; none where there is no file.

    Raises `UsageError` for a file that everybody may read, or that holds something else.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    if mode & _OTHERS:
        raise UsageError(f"Everybody may read {path}.", f"Run: chmod 600 {path}")
    return _read(path)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read; whoever reads it meanwhile finds the old or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path) -> dict[str, bytes]:
    try:
        return {
            str(name): base64.b64decode(text, validate=True)
            for name, text in json.loads(path.read_text()).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        # Without the error's own words, which may hold a piece of the file.
        raise UsageError(
            f"{path} does not hold master secrets.", "Restore it from a backup: it cannot be made anew."
        ) from None
