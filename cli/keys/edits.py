"""The changes of keys: what is asked for becomes key records and the events that tell of them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

from keytrail.cli.keys.admin import Admin
from keytrail.cli.moments import parse_moment
from keytrail.cli.output import progress
from keytrail.producers import key_changes
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_changes import KeyChangeError
from keytrail.producers.key_forms import checked, words
from keytrail.producers.key_log import KeyLog
from keytrail.producers.key_registry import Edit, KeyRegistry
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.records import Event, Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SigningKey
from keytrail.sinks.clickhouse.http import ClickHouse, whole

SWITCHES = {
    "suspend": "switch a key off for a time",
    "resume": "switch a suspended key on again",
    "revoke": "end a key for good",
}
_CHANGES: dict[str, Callable[..., Key]] = {
    "suspend": key_changes.suspended,
    "resume": key_changes.resumed,
    "revoke": key_changes.revoked,
}


@dataclass(frozen=True)
class Why:
    """Who makes a change and why; `if_version` is the version that it is meant for, None for any."""

    actor: str
    reason: str
    ticket: str | None
    if_version: int | None = None


class Desk:
    """Makes one change, with an admin's key.  Methods return the exit code."""

    def __init__(self, settings: Settings, admin: Admin, why: Why) -> None:
        self._settings = settings
        self._admin = admin
        self._why = why
        self._new_id = UuidV7()
        self._masters = MasterFile(settings.masters)

    def issue(self, key: Key, *, with_secret: bool) -> int:
        """Register a new key; prints its id."""
        if with_secret:
            key = replace(key, secret_version=1, secret_since=key.issued_at)
            self._masters.current().issue(key.key_id, 1)  # refuses before anything is written

        def decide(known: KeyLog, now: Micros, by: str) -> list[Edit]:
            _refuse_known(known, key.key_id)
            issued = replace(key, parent_key=by)
            return [Edit(issued, self._event("issue_key", issued, by, now, new_key=key.key_id))]

        self._change("issue_key", decide)
        self._print(key, with_secret=with_secret)
        return 0

    def adopt(self, key: Key) -> int:
        """Register a key that was discovered, as of its first use."""
        clickhouse = ClickHouse(self._settings.clickhouse, database=self._settings.database)
        rows = clickhouse.rows(
            "SELECT toUnixTimestamp64Micro(first_seen) AS first_seen FROM keys_discovered "
            "WHERE key_id = {id:String}",
            params={"id": key.key_id},
        )
        if not rows:
            raise KeytrailError(
                f"No event names an unregistered key {key.key_id}.",
                "`keytrail keys list --discovered` shows those there are.",
            )
        return self.issue(replace(key, issued_at=whole(rows[0], "first_seen")), with_secret=False)

    def rotate(self, key_id: str, overlap: Micros, *, with_secret: bool) -> int:
        """Replace a key; prints the new one's id."""
        new_id = f"key-{self._new_id()}"
        if with_secret:
            self._masters.current().issue(new_id, 1)

        def decide(known: KeyLog, now: Micros, by: str) -> list[Edit]:
            old, new = key_changes.rotated(
                self._meant(known, key_id),
                new_id,
                overlap=overlap,
                by=self._why.actor,
                reason=self._why.reason,
                now=now,
            )
            if with_secret:
                new = replace(new, secret_version=1, secret_since=now)
            told = self._event("rotate_key", old, by, now, affected_key=key_id, new_key=new_id)
            also = self._event("issue_key", new, by, now, new_key=new_id, rotated_from=key_id)
            return [Edit(old, told), Edit(new, also)]

        old, new = self._change("rotate_key", decide)
        progress(f"Key {old.key_id} of {old.owner} works on until its end; {new.key_id} follows it.")
        self._print(new, with_secret=with_secret)
        return 0

    def make_secret(self, key_id: str, overlap: Micros) -> int:
        """Give a key a new signing secret, and print it."""

        def decide(known: KeyLog, now: Micros, by: str) -> list[Edit]:
            key = key_changes.resecreted(
                self._meant(known, key_id),
                overlap=overlap,
                by=self._why.actor,
                reason=self._why.reason,
                now=now,
            )
            self._masters.current().issue(key_id, key.secret_version)
            return [Edit(key, self._event("rotate_key", key, by, now, affected_key=key_id, what="secret"))]

        [key] = self._change("rotate_key", decide)
        print(self._secret(key).token)
        return 0

    def switch(self, verb: str, key_id: str) -> int:
        """Suspend, resume or revoke."""

        def decide(known: KeyLog, now: Micros, by: str) -> list[Edit]:
            key = _CHANGES[verb](
                self._meant(known, key_id), by=self._why.actor, reason=self._why.reason, now=now
            )
            return [Edit(key, self._event(f"{verb}_key", key, by, now, affected_key=key_id))]

        [key] = self._change(f"{verb}_key", decide)
        progress(f"Key {key.key_id} of {key.owner} is {key.status}.")
        return 0

    def register(self, keys: list[Key]) -> None:
        """Register keys that are not known; all of them in one change."""

        def decide(known: KeyLog, now: Micros, by: str) -> list[Edit]:
            for key in keys:
                _refuse_known(known, key.key_id)
            issued = [replace(key, parent_key=key.parent_key or by) for key in keys]
            return [
                Edit(key, self._event("issue_key", key, by, now, new_key=key.key_id, imported="true"))
                for key in issued
            ]

        self._change("issue_key", decide)

    @property
    def settings(self) -> Settings:
        return self._settings

    def _change(self, action: str, decide: Callable[[KeyLog, Micros, str], list[Edit]]) -> list[Key]:
        """The keys that were changed, without the first admin's, which is made before them if need be."""
        now = system_clock()
        has_masters = bool(self._masters.current())

        def with_admin(known: KeyLog) -> list[Edit]:
            first = self._admin.first_key(known, self._why.reason, now) if action == "issue_key" else None
            if first is None:
                return decide(known, now, self._admin.allowed(action, known, now))
            if has_masters:
                first = replace(first, secret_version=1, secret_since=now)
            told = self._event("issue_key", first, first.key_id, now, new_key=first.key_id)
            return [Edit(first, told), *decide(known, now, first.key_id)]

        changed = KeyRegistry(self._settings, self._admin.signer).change(with_admin)
        if not self._admin.is_first(changed[0]):
            return changed
        self._admin.remember(changed[0], self._secret(changed[0]) if has_masters else None)
        return changed[1:]

    def _meant(self, known: KeyLog, key_id: str) -> Key:
        key = known.get(key_id)
        if self._why.if_version not in (None, key.version):
            raise KeyChangeError(
                f"Key {key_id} is at version {key.version}, not {self._why.if_version}: {key.changed_by} "
                "has changed it.",
                f"Look at it with `keytrail keys show {key_id}`, and change it again.",
            )
        return key

    def _secret(self, key: Key) -> SigningKey:
        return self._masters.current().issue(key.key_id, key.secret_version)

    def _print(self, key: Key, *, with_secret: bool) -> None:
        print(key.key_id)
        if with_secret:
            print(self._secret(key).token)

    def _event(self, action: str, key: Key, by: str, now: Micros, **attributes: str) -> Event:
        return Event(
            event_id=self._new_id(),
            occurred_at=now,
            recorded_at=now,
            service="keytrail",
            environment=None,
            actor_id=self._why.actor,
            actor_type="human",
            key_id=by,
            key_alias=None,
            action=action,
            subject=key.owner,
            resource="provisioning key",
            reason=self._why.reason,
            ticket=self._why.ticket,
            attributes=attributes | ({"team": key.team} if key.team else {}),
        )


def new_key(options: argparse.Namespace, key_id: str | None, actor: str) -> Key:
    """What the flags ask for.  Raises `UsageError` for a key that could not work."""
    now = system_clock()
    labels = [label.partition("=") for label in options.label]
    if not all(name and mark for name, mark, _ in labels):
        raise UsageError("A label has no name.", "Write it as NAME=TEXT.")
    return checked(
        Key(
            key_id=key_id or f"key-{UuidV7()()}",
            version=1,
            kind=options.kind,
            owner=options.owner,
            team=options.team,
            status="active",
            issued_at=now,
            expires_at=parse_moment(options.expires, now) if options.expires else None,
            scope_actions=words(options.scope_actions),
            scope_roles=words(options.scope_roles),
            scope_resources=words(options.scope_resources),
            scope_environments=words(options.scope_environments),
            scope_networks=words(options.scope_networks),
            scope_hours=options.scope_hours,
            break_glass=options.break_glass,
            aliases=options.alias,
            labels={name: text for name, _, text in labels},
            changed_by=actor,
            reason=options.reason,
            changed_at=now,
        ),
        now,
    )


def overlap(text: str) -> Micros:
    """`24h` in microseconds; `0h` is none."""
    now = system_clock()
    return max(0, parse_moment(text, now) - now)


def _refuse_known(known: KeyLog, key_id: str) -> None:
    if key_id in known.keys or key_id in known.unreadable:
        raise KeyChangeError(f"There is already a key {key_id}.", "Choose another id.")
