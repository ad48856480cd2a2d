"""The file of those who may read the embedded ClickHouse: names and roles, and digests of their tokens."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.masters import write_secret
from keytrail.schemas.reader_roles import reader_role
from keytrail.schemas.records import Micros

READERS_FILE = "readers.json"
TOKEN_PREFIX = b"ktr_"
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Reader:
    """`digest` is the SHA-256 of the token in hex; `team` is set for roles of one team.

    `key_id` is the provisioning key that its queries count for in the audit log, if it has one.
    """

    name: str
    role: str
    digest: str
    added_at: Micros
    team: str = ""
    key_id: str = ""


def digest_of(token: bytes) -> str:
    """Tokens are random and long, so a plain digest tells nobody the token."""
    return hashlib.sha256(token).hexdigest()


class ReaderFile:
    """The readers as the file has them now.  Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: tuple[int, int] | None = None
        self._readers: tuple[Reader, ...] = ()

    def current(self) -> tuple[Reader, ...]:
        """Read anew where the file has changed; none where there is no file.

        Raises `UsageError` for a file that holds something else.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._read_at, self._readers = None, ()
            return ()
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._read_at:
            self._readers = self._read()
            self._read_at = stamp
        return self._readers

    def find(self, token: bytes) -> Reader | None:
        """Whose token it is.  Raises as `current` does."""
        digest = digest_of(token)
        return next((reader for reader in self.current() if reader.digest == digest), None)

    def add(self, name: str, role: str, *, now: Micros, team: str = "", key_id: str = "") -> str:
        """Let somebody in; the token, which is not kept and so is not to be had again.

        Raises `UsageError` for a name that is taken, a role that is none, or a team that does not go with it.
        """
        if not name.strip() or any(reader.name == name for reader in self.current()):
            raise UsageError(f"There is a reader {name!r} already, or it is no name.", "Choose another name.")
        if reader_role(role).of_team != bool(team):
            raise UsageError(
                f"Role {role} is {'' if reader_role(role).of_team else 'not '}for one team.",
                "Name the team with --team." if reader_role(role).of_team else "Leave --team out.",
            )
        token = TOKEN_PREFIX.decode() + secrets.token_urlsafe(_TOKEN_BYTES)
        added = Reader(name, role, digest_of(token.encode()), now, team, key_id)
        self._write((*self.current(), added))
        return token

    def remove(self, name: str) -> None:
        """Their token opens nothing from the next query on; raises `UsageError` for a name nobody has."""
        left = [reader for reader in self.current() if reader.name != name]
        if len(left) == len(self.current()):
            raise UsageError(f"There is no reader {name!r}.", "See `keytrail readers list`.")
        self._write(left)

    def _write(self, readers: Iterable[Reader]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(self.path, json.dumps([asdict(reader) for reader in readers], indent=1) + "\n")

    def _read(self) -> tuple[Reader, ...]:
        try:
            return tuple(Reader(**fields) for fields in json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            raise UsageError(
                f"{self.path} does not hold readers.", "Restore it, or remove it and add the readers anew."
            ) from None
