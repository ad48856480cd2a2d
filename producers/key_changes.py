"""What may happen to a provisioning key: each function gives the key's next record.

They raise `KeyChangeError` for a change that the key's state does not allow.  The latest record tells a
key's whole life, so that its status at any time can be read from it.
"""

from dataclasses import replace

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Key, Micros, Suspension


class KeyChangeError(KeytrailError):
    """The key's state does not allow the change."""


def suspended(key: Key, *, by: str, reason: str, now: Micros) -> Key:
    """The key switched off from `now` on."""
    _refuse_revoked(key)
    if key.status == "suspended":
        raise KeyChangeError(f"Key {key.key_id} is already suspended.")
    return _changed(replace(key, status="suspended", suspended_at=now), by, reason, now)


def resumed(key: Key, *, by: str, reason: str, now: Micros) -> Key:
    """The key switched on again."""
    _refuse_revoked(key)
    if key.status != "suspended" or key.suspended_at is None:
        raise KeyChangeError(f"Key {key.key_id} is not suspended.")
    over = Suspension(key.suspended_at, max(now, key.suspended_at))
    again = replace(key, status="active", suspended_at=None, suspensions=[*key.suspensions, over])
    return _changed(again, by, reason, now)


def revoked(key: Key, *, by: str, reason: str, now: Micros) -> Key:
    """The key ended for good at `now`."""
    _refuse_revoked(key)
    return _changed(replace(key, status="revoked", revoked_at=now), by, reason, now)


def rotated(
    key: Key, successor_id: str, *, overlap: Micros, by: str, reason: str, now: Micros
) -> tuple[Key, Key]:
    """The key, which ends `overlap` microseconds from now, and its successor, which has the same rights.

    A key that would expire sooner does so.  The successor lives as long from now as the key did.
    """
    _refuse_revoked(key)
    if key.status != "active":
        raise KeyChangeError(f"Key {key.key_id} is {key.status}.", "Resume it, or issue a new key.")
    if key.successor is not None:
        raise KeyChangeError(
            f"Key {key.key_id} was replaced by {key.successor}.", f"Rotate {key.successor} instead."
        )
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyChangeError(f"Key {key.key_id} has expired.", "Issue a new key.")
    lifetime = None if key.expires_at is None else key.expires_at - key.issued_at
    ends = now + overlap if key.expires_at is None else min(key.expires_at, now + overlap)
    old = replace(key, expires_at=ends, rotated_at=now, successor=successor_id)
    new = replace(
        key,
        key_id=successor_id,
        version=0,
        issued_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        predecessor=key.key_id,
        suspensions=[],
        aliases=[],
        secret_version=0,
        secret_since=0,
        old_secrets_until=0,
    )
    return _changed(old, by, reason, now), _changed(new, by, reason, now)


def resecreted(key: Key, *, overlap: Micros, by: str, reason: str, now: Micros) -> Key:
    """The key with a new signing secret; the one before it is good for `overlap` microseconds more."""
    _refuse_revoked(key)
    fresh = replace(
        key,
        secret_version=key.secret_version + 1,
        secret_since=now,
        old_secrets_until=now + overlap if key.secret_version else 0,
    )
    return _changed(fresh, by, reason, now)


def _changed(key: Key, by: str, reason: str, now: Micros) -> Key:
    return replace(key, version=key.version + 1, changed_by=by, reason=reason, changed_at=now)


def _refuse_revoked(key: Key) -> None:
    if key.status == "revoked":
        raise KeyChangeError(f"Key {key.key_id} is revoked, which is for good.", "Issue a new key.")
