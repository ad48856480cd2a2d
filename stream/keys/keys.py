"""The keys as the worker knows them, and what one was at the time of an event."""

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_network
from typing import NamedTuple

from keytrail.schemas.errors import UsageError
from keytrail.schemas.hours import parse_hours
from keytrail.schemas.records import Event, Key, Micros, Suspension
from keytrail.stream.keys.lineage import Lineage
from keytrail.stream.keys.owners import Owners

Outside = tuple[tuple[str, str], ...]  # dimensions of a key's scope, and what lies outside it


class KeyTraits(NamedTuple):
    """What of a key tells which rules may concern its events."""

    status: str
    is_break_glass: bool
    is_scoped: bool
    has_ancestors: bool
    lost_owner: bool


@dataclass(frozen=True)
class KeyAtEvent:
    """The key an event names, judged at the event's time.

    `status` is none (no key stated), unknown, active, expired, revoked or suspended.  `key` is
    None for the first two.  `ancestors` are the keys that it was issued by, its parent first, as of now;
    `owner_left` is when its owner was deleted, as far as that is known now.
    `remembered` and `outside` are for rules: what they worked out about this key.
    """

    status: str
    key: Key | None
    ancestors: tuple[Key, ...] = ()
    owner_left: Micros | None = None
    remembered: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False, compare=False)
    outside: dict[tuple[str | None, ...], Outside] = field(default_factory=dict, repr=False, compare=False)

    @property
    def record_name(self) -> str:
        """Names what is known of the key, as far as its uses are judged by it; "" stands for no key."""
        return record_name(self.key, self.ancestors, self.owner_left)

    @cached_property
    def traits(self) -> KeyTraits:
        key = self.key
        return KeyTraits(
            self.status,
            is_break_glass=key is not None and key.break_glass,
            is_scoped=key is not None and _is_scoped(key),
            has_ancestors=bool(self.ancestors),
            lost_owner=self.owner_left is not None,
        )


NO_KEY = KeyAtEvent("none", None)
UNKNOWN_KEY = KeyAtEvent("unknown", None)


def _is_scoped(key: Key) -> bool:
    lists = (key.scope_actions, key.scope_roles, key.scope_resources, key.scope_environments)
    return any(lists) or bool(key.scope_networks) or key.scope_hours is not None


def status_at(key: Key, at: Micros) -> str:
    """The key's status at a time.  Revocation outweighs expiry, which outweighs suspension."""
    if key.revoked_at is not None and at >= key.revoked_at:
        return "revoked"
    if key.expires_at is not None and at >= key.expires_at:
        return "expired"
    if key.suspended_at is not None and at >= key.suspended_at:
        return "suspended"
    if key.suspensions and any(over.since <= at < over.until for over in key.suspensions):
        return "suspended"
    return "active"


def record_name(key: Key | None, ancestors: tuple[Key, ...], owner_left: Micros | None) -> str:
    """See `KeyAtEvent.record_name`.  Of ancestors it matters how many they are, and which were revoked."""
    if key is None:
        return ""
    revoked = "".join(f"<{a.key_id}@{a.version}" for a in ancestors if a.revoked_at is not None)
    above = f"^{len(ancestors)}{revoked}" if ancestors else ""
    return f"{key.key_id}@{key.version}{above}" + (f"!{owner_left}" if owner_left is not None else "")


def usable(key: Key) -> tuple[Key, list[str]]:
    """The key without the parts of its scope that cannot be read, and what is wrong with those.

    The command line refuses such scopes; a record that another program wrote may hold them.
    """
    problems = []
    networks = []
    for text in key.scope_networks:
        try:
            ip_network(text, strict=False)
            networks.append(text)
        except ValueError:
            problems.append(f"network {text!r} is not in CIDR notation")
    hours = key.scope_hours
    try:
        if hours is not None:
            parse_hours(hours)
    except UsageError as error:
        problems.append(error.message)
        hours = None
    return (replace(key, scope_networks=networks, scope_hours=hours), problems) if problems else (key, [])


class KeyDirectory:
    """Every key by its id and by its aliases; an id outweighs an alias of the same text.

    One thread applies records while others look up.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, _Known] = {}
        self._id_of_alias: dict[str, str] = {}
        self._changes = 0
        self._changed_at: dict[str, int] = {}  # names, the latest change last
        self._lineage = Lineage(self._by_own_id)
        self._owners = Owners()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def apply(self, key: Key) -> list[str]:
        """Take a key's latest record; a record older than the one held is left out.

        Returns the aliases that another key has already; they stay with that key.
        """
        with self._lock:
            known = self._by_id.get(key.key_id)
            if known is not None and known.key.version > key.version:
                return []
            self._drop_aliases(known)
            key = _lean(key)
            self._by_id[key.key_id] = _Known(key, self._owners.left_at(key.owner))
            self._note_change(known.key if known else None, key)
            return [a for a in key.aliases if self._id_of_alias.setdefault(a, key.key_id) != key.key_id]

    def forget(self, key_id: str) -> None:
        with self._lock:
            known = self._by_id.pop(key_id, None)
            self._drop_aliases(known)
            if known is not None:
                self._note_change(known.key, None)

    def owner_leaves(self, owner: str, at: Micros | None) -> None:
        """The owner of keys was deleted then, or (None) is there again."""
        with self._lock:
            if not self._owners.leave(owner, at):
                return
            known = [self._by_id[key_id] for key_id in self._owners.keys_of(owner)]
            for one in known:
                one.leave(at)
            if known:
                self._note([one.key for one in known])

    def knows_owner(self, owner: str) -> bool:
        """True for one who owns keys, or of whom it was said that they left."""
        with self._lock:
            return bool(self._owners.keys_of(owner)) or self._owners.left_at(owner) is not None

    def left_at(self, owner: str) -> Micros | None:
        """When the owner left, as far as that is known; None for one who is there."""
        with self._lock:
            return self._owners.left_at(owner)

    @property
    def mark(self) -> int:
        """How many changes there were."""
        return self._changes

    def changed_since(self, mark: int) -> tuple[list[str], int]:
        """The ids and aliases whose keys have changed since then, and the mark now."""
        with self._lock:
            names = []
            for name, at in reversed(self._changed_at.items()):
                if at <= mark:
                    break
                names.append(name)
            return names, self._changes

    def find(self, name: str) -> Key | None:
        """The latest record of the key with this id or alias."""
        known = self._find(name)
        return known.key if known else None

    def named(self, name: str, at: Micros) -> KeyAtEvent:
        """The key with this id or alias, at a time, without its ancestors."""
        known = self._find(name)
        return known.at(at) if known else UNKNOWN_KEY

    def at(self, event: Event) -> KeyAtEvent:
        """The event's key, as of the event's time; the alias counts where no id is stated."""
        if event.key_id is None and event.key_alias is None:
            return NO_KEY
        known = self._find(event.key_name)
        if known is None:
            # An alias alone that nobody registered says nothing about a key.
            return UNKNOWN_KEY if event.key_id is not None else NO_KEY
        if known.key.parent_key is not None and known.mark != self._changes:
            with self._lock:
                known.descend(self._lineage.ancestors(known.key), self._changes)
        return known.at(event.occurred_at)

    def record_name(self, name: str) -> str:
        """Names what is known now of the key with this id or alias; see `KeyAtEvent.record_name`."""
        with self._lock:
            known = self._find(name)
            if known is None:
                return ""
            return record_name(known.key, self._lineage.ancestors(known.key), known.owner_left)

    def _find(self, name: str | None) -> "_Known | None":
        if name is None:
            return None
        return self._by_id.get(name) or self._by_id.get(self._id_of_alias.get(name, ""))

    def _by_own_id(self, key_id: str) -> Key | None:
        known = self._by_id.get(key_id)
        return known.key if known else None

    def _note_change(self, before: Key | None, after: Key | None) -> None:
        """The key's uses are due to be judged anew, and where it matters to them those of its descendants."""
        self._lineage.link(before, after)
        self._owners.link(before, after)
        concerned = [key for key in (before, after) if key is not None]
        if before is None or after is None or _as_ancestor(before) != _as_ancestor(after):
            concerned += self._lineage.descendants(concerned[0].key_id)
        self._note(concerned)

    def _note(self, concerned: list[Key]) -> None:
        self._changes += 1
        for name in {name for key in concerned for name in (key.key_id, *key.aliases)}:
            self._changed_at.pop(name, None)
            self._changed_at[name] = self._changes

    def _drop_aliases(self, known: "_Known | None") -> None:
        for alias in known.key.aliases if known else ():
            if known is not None and self._id_of_alias.get(alias) == known.key.key_id:
                del self._id_of_alias[alias]


def _as_ancestor(key: Key) -> tuple[str | None, Micros | None, str | None]:
    """What matters of a key to those that it issued."""
    return key.parent_key, key.revoked_at, key.reason if key.revoked_at is not None else None


_NONE: list[str] = []
_NO_LABELS: dict[str, str] = {}
_NO_SUSPENSIONS: list[Suspension] = []


def _lean(key: Key) -> Key:
    """The key as it is kept: most of its lists are empty, and one stands for all that are."""
    return replace(
        key,
        scope_actions=key.scope_actions or _NONE,
        scope_roles=key.scope_roles or _NONE,
        scope_resources=key.scope_resources or _NONE,
        scope_environments=key.scope_environments or _NONE,
        scope_networks=key.scope_networks or _NONE,
        aliases=key.aliases or _NONE,
        labels=key.labels or _NO_LABELS,
        suspensions=key.suspensions or _NO_SUSPENSIONS,
    )


class _Known:
    """A key's latest record, and the key as events of each status see it.

    `mark` tells as of which change its ancestors are.
    """

    __slots__ = ("_ancestors", "_views", "key", "mark", "owner_left")

    def __init__(self, key: Key, owner_left: Micros | None) -> None:
        self.key = key
        self.owner_left = owner_left
        self.mark = -1
        self._ancestors: tuple[Key, ...] = ()
        self._views: dict[str, KeyAtEvent] = {}

    def descend(self, ancestors: tuple[Key, ...], mark: int) -> None:
        self.mark = mark
        if ancestors != self._ancestors:
            self._ancestors = ancestors
            self._views = {}

    def leave(self, at: Micros | None) -> None:
        self.owner_left = at
        self._views = {}

    def at(self, time: Micros) -> KeyAtEvent:
        status = status_at(self.key, time)
        view = self._views.get(status)
        if view is None:
            view = self._views[status] = KeyAtEvent(status, self.key, self._ancestors, self.owner_left)
        return view
