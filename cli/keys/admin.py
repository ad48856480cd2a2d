"""With whose key keys are changed: an admin's, which is one that is scoped for it by name."""

import os
from pathlib import Path

from keytrail.cli.output import progress
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_changes import KeyChangeError
from keytrail.producers.key_log import KeyLog
from keytrail.schemas.applied import ACTION
from keytrail.schemas.errors import UsageError
from keytrail.schemas.masters import write_secret
from keytrail.schemas.records import Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SigningKey
from keytrail.schemas.triage import ACKNOWLEDGE, CLOSE
from keytrail.sinks.retention.cuts import CUT
from keytrail.sinks.retention.holds import HOLD, RELEASE
from keytrail.stream.keys.keys import status_at

ADMIN_ACTIONS = (
    *("issue_key", "rotate_key", "suspend_key", "resume_key", "revoke_key"),
    *(ACTION, ACKNOWLEDGE, CLOSE, HOLD, RELEASE, CUT),
)
_VARIABLE = "KEYTRAIL_KEY_SECRET"
_FILE = "admin-key"


class Admin:
    """Who changes keys, and with which key.  `signer` holds that key's secret, where it is at hand.

    The key is the one that `--key` names, or else the one whose secret stands in `KEYTRAIL_KEY_SECRET` or in
    the file `admin-key` of the data directory.  Raises `UsageError` where that is no secret.
    """

    def __init__(self, settings: Settings, actor: str, named: str | None) -> None:
        self.actor = actor
        self._made = ""
        self._file = settings.data_dir / _FILE
        at_hand = _at_hand(self._file)
        self.signer = at_hand if at_hand is not None and named in (None, at_hand.key_id) else None
        self.key_id = named or (at_hand.key_id if at_hand else None)

    def first_key(self, known: KeyLog, reason: str, now: Micros) -> Key | None:
        """The first admin's key, where there is none yet and none is named."""
        if self.key_id is not None or any(_may(key, "issue_key") for key in known.keys.values()):
            return None
        self._made = f"key-{UuidV7()()}"
        return Key(
            key_id=self._made,
            version=1,
            kind="human",
            owner=self.actor,
            team=None,
            status="active",
            issued_at=now,
            scope_actions=list(ADMIN_ACTIONS),
            changed_by=self.actor,
            reason=reason,
            changed_at=now,
        )

    def allowed(self, action: str, known: KeyLog, now: Micros) -> str:
        """The id of the key, which may do this.  Raises `UsageError` or `KeyChangeError` where none may."""
        if self.key_id is None:
            raise UsageError(
                "That is done with an admin's key.",
                f"Name it with --key, or set {_VARIABLE}.",
            )
        key = known.get(self.key_id)
        if (status := status_at(key, now)) != "active":
            raise KeyChangeError(f"Key {key.key_id} is {status}.", "Use another admin's key.")
        if not _may(key, action):
            raise KeyChangeError(
                f"Key {key.key_id} may not {action.replace('_', ' ')}: its scope does not name {action}.",
                f"Use an admin's key, or issue one with --scope-actions {action}.",
            )
        return key.key_id

    def is_first(self, key: Key) -> bool:
        """True for what `first_key` has made."""
        return self._made == key.key_id

    def remember(self, key: Key, secret: SigningKey | None) -> None:
        """Keep the first admin's key in the data directory, where there is one; else show it."""
        progress(f"Key {key.key_id} of {key.owner} is the first admin's key.")
        if secret is None:
            progress("Name it with --key from now on.")
        elif self._file.parent.is_dir():
            write_secret(self._file, secret.token + "\n")
            progress(f"Its secret is kept in {self._file}.")
        else:
            progress(f"Keep its secret, and set {_VARIABLE} to it:\n{secret.token}")


def _may(key: Key, action: str) -> bool:
    return action in key.scope_actions


def _at_hand(file: Path) -> SigningKey | None:
    if token := os.environ.get(_VARIABLE):
        return SigningKey.of_token(token)
    try:
        return SigningKey.of_token(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read.", "See who may read it, or set KEYTRAIL_KEY_SECRET."
        ) from error
