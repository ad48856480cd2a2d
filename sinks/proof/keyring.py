"""The file with the keys that checkpoints are signed with: JSON, oldest first; only its owner may read it."""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.masters import write_secret
from keytrail.schemas.records import Micros
from keytrail.sinks.proof.note import SEED_BYTES, PrivateKey
from keytrail.sinks.proof.trust import Trust, TrustedKey, hand_over

KEY_NAME = "keytrail"
_OTHERS = 0o007


@dataclass(frozen=True)
class Keyring:
    """`keys`, of which the last one signs, and the notes by which each came after the one before."""

    keys: Sequence[PrivateKey]
    handovers: Sequence[str]

    @property
    def signing(self) -> PrivateKey:
        return self.keys[-1]

    @property
    def trust(self) -> Trust:
        """The public halves: what whoever verifies is given."""
        trust = Trust([TrustedKey(self.keys[0].public)])
        trust.follow(self.handovers)
        return trust


class KeyringFile:
    """The keys as the file has them now.  Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> Keyring:
        """Raises `UsageError` where there is no file, everybody may read it, or it holds something else."""
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            raise UsageError(
                f"There is no key to sign checkpoints with: {self.path} is not there.",
                "Make one with `keytrail checkpoints rotate`.",
            ) from None
        if mode & _OTHERS:
            raise UsageError(f"Everybody may read {self.path}.", f"Run: chmod 600 {self.path}")
        try:
            found = json.loads(self.path.read_text())
            keys = [PrivateKey(str(name), base64.b64decode(seed)) for name, seed in found["keys"]]
            handovers = [str(note) for note in found["handovers"]]
        except (OSError, ValueError, TypeError, KeyError):
            keys, handovers = [], []
        if not keys or any(len(key.seed) != SEED_BYTES for key in keys):
            # Without the error's own words, which may hold a piece of the file.
            raise UsageError(
                f"{self.path} does not hold keys for checkpoints.",
                "Restore it from a backup: it cannot be made anew.",
            )
        return Keyring(keys, handovers)

    def rotate(self, now: Micros) -> Keyring:
        """Make a key, the first one or the next; the one before signs the change.  Raises `UsageError`."""
        known = self.current() if self.path.exists() else Keyring([], [])
        new = PrivateKey(KEY_NAME, secrets.token_bytes(SEED_BYTES))
        handovers = [*known.handovers, *([hand_over(known.signing, new, now)] if known.keys else [])]
        ring = Keyring([*known.keys, new], handovers)
        packed = [[key.name, base64.b64encode(key.seed).decode()] for key in ring.keys]
        write_secret(self.path, json.dumps({"keys": packed, "handovers": handovers}, indent=1) + "\n")
        return ring
