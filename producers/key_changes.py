"""What may happen to a provisioning key: each function gives the key's next record.

They raise `KeyChangeError` for a change that the key's state does not allow.
"""

from dataclasses import replace

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Key, Micros


class KeyChangeError(KeytrailError):
    """The key's state does not allow the change."""


def suspended(key: Key, *, by: str, reason: str, now: Micros) -> Key:
    """The key switched off from `now` on."""
    _refuse_revoked(key)
    if key.status == "suspended":
        raise KeyChangeError(f"Key {key.key_id} is already suspended.")
    return _changed(replace(key, status="suspended", suspended_at=now), by, reason, now)


def revoked(key: Key, *, by: str, reason: str, now: Micros) -> Key:
    """The key ended for good at `now`."""
    _refuse_revoked(key)
    return _changed(replace(key, status="revoked", revoked_at=now), by, reason, now)


def _changed(key: Key, by: str, reason: str, now: Micros) -> Key:
    return replace(key, version=key.version + 1, changed_by=by, reason=reason, changed_at=now)


def _refuse_revoked(key: Key) -> None:
    if key.status == "revoked":
        raise KeyChangeError(f"Key {key.key_id} is revoked, which is for good.", "Issue a new key.")
