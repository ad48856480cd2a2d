"""The company's provisioning keys, drawn up for the whole period.

A key's record is in its final form: when it was rotated, suspended or revoked stands in it as a
time.  Sent before the first event, it judges every event rightly, since a key is judged as of the
event's time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from keytrail.producers.simulation.ids import hex_digits
from keytrail.schemas.records import Key, Micros


@dataclass(frozen=True)
class Scope:
    """What a key may be used for; empty: anything."""

    actions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    hours: str | None = None


class KeyRing:
    """All keys of the company.  Keys are told apart by id; each change raises the version."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._keys: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def __getitem__(self, key_id: str) -> Key:
        return self._keys[key_id]

    def new_id(self) -> str:
        return f"key-{hex_digits(self._rng, 12)}"

    def issue(
        self,
        owner: str,
        kind: str,
        team: str,
        at: Micros,
        scope: Scope,
        *,
        reason: str,
        by: str,
        expires_at: Micros | None = None,
        parent_key: str | None = None,
        break_glass: bool = False,
    ) -> Key:
        """`kind` is human or service."""
        key = Key(
            key_id=self.new_id(),
            version=1,
            kind=kind,
            owner=owner,
            team=team,
            status="active",
            issued_at=at,
            expires_at=expires_at,
            scope_actions=list(scope.actions),
            scope_roles=list(scope.roles),
            scope_resources=list(scope.resources),
            scope_environments=list(scope.environments),
            scope_networks=list(scope.networks),
            scope_hours=scope.hours,
            break_glass=break_glass,
            parent_key=parent_key,
            changed_by=by,
            reason=reason,
            changed_at=at,
        )
        self._keys[key.key_id] = key
        return key

    def issue_like(self, key_id: str, at: Micros, *, reason: str, expires_at: Micros | None = None) -> Key:
        """A further key for the same owner with the same scope."""
        like = self._keys[key_id]
        key = replace(
            like,
            key_id=self.new_id(),
            version=1,
            issued_at=at,
            expires_at=expires_at,
            aliases=[],
            changed_at=at,
            reason=reason,
        )
        self._keys[key.key_id] = key
        return key

    def issued(self, key_id: str, at: Micros, parent_key: str) -> None:
        """The key was issued at another time than was thought, by another key."""
        self._keys[key_id] = replace(self._keys[key_id], issued_at=at, changed_at=at, parent_key=parent_key)

    def rotate(self, key_id: str, at: Micros, grace: int, by: str) -> Key:
        """A successor; the old key expires `grace` microseconds later."""
        reason = "regular rotation"
        new = self.issue_like(key_id, at, reason=reason)
        self.succeed(key_id, new.key_id, at, Micros(at + grace), by)
        return self._keys[new.key_id]

    def succeed(self, old: str, new: str, at: Micros, expires_at: Micros, by: str) -> None:
        """The key `new` takes the place of `old`, which expires at `expires_at`."""
        self._keys[new] = replace(self._keys[new], predecessor=old)
        self._change(
            replace(self._keys[old], rotated_at=at, expires_at=expires_at, successor=new),
            at,
            by,
            "regular rotation",
        )

    def give_secret(self, key_id: str, at: Micros, overlap: int, by: str) -> None:
        """A signing secret, in place of the one before, which is good for `overlap` microseconds more."""
        key = self._keys[key_id]
        secret = replace(
            key,
            secret_version=key.secret_version + 1,
            secret_since=at,
            old_secrets_until=Micros(at + overlap) if key.secret_version else 0,
        )
        self._change(secret, at, by, "a signing secret")

    def suspend(self, key_id: str, at: Micros, by: str, reason: str) -> None:
        self._change(replace(self._keys[key_id], suspended_at=at, status="suspended"), at, by, reason)

    def revoke(self, key_id: str, at: Micros, by: str, reason: str) -> None:
        self._change(replace(self._keys[key_id], revoked_at=at, status="revoked"), at, by, reason)

    def move(self, key_id: str, team: str, at: Micros, by: str) -> None:
        self._change(replace(self._keys[key_id], team=team), at, by, "owner changed teams")

    def add_alias(self, key_id: str, alias: str) -> None:
        """`alias` is the hash of a token that stands for the key."""
        key = self._keys[key_id]
        self._keys[key_id] = replace(key, aliases=[*key.aliases, alias])

    def _change(self, key: Key, at: Micros, by: str, reason: str) -> None:
        self._keys[key.key_id] = replace(
            key, version=key.version + 1, changed_at=at, changed_by=by, reason=reason
        )
