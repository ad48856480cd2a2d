"""What one subject holds: its roles, when each was granted and last used.

The state is a last-writer-wins register a role, ordered by (time, event id), so that events of
one subject give the same state in whichever order they arrive.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from keytrail.schemas.records import Event, Micros, Occurrence
from keytrail.stream.access.membership import Membership, stated_team
from keytrail.stream.access.role import DAY, Role, Turn

# Of its roles' names, permissions, places and keys, as UTF-8: its state must fit a Kafka record.  In JSON
# a byte may take six, and each role takes up to 4,500 bytes of turns and teams besides.
MAX_BYTES = 500_000
_HOLDS = frozenset({"grant", "revoke", "delete"})
MAX_ROLES = 1_000  # of one subject; more are not followed: it has long been flagged


class Change(Enum):
    """What an event changed about a subject."""

    NOTHING = auto()
    USE = auto()  # when it was last seen, or used a role
    HOLDING = auto()  # the roles it holds, or its team


class Orphaned(NamedTuple):
    """A grant that counts for the finding of that key and cause."""

    key_id: str
    cause: str
    at: Micros
    event_id: str


@dataclass(slots=True)
class SubjectAccess:
    """One subject.  `reported_*` are the team and the number of roles that it last told its peers.

    The sets are what rules have said of it and that holds still: names of roles, of separations, of teams;
    so is `orphaned`, by role.
    """

    roles: dict[str, Role] = field(default_factory=dict)
    membership: Membership = field(default_factory=Membership)
    latest_day: int = -1
    deleted: Occurrence | None = None
    reported_team: str = ""
    reported_roles: int = 0
    redundant: set[str] = field(default_factory=set)
    toxic: set[str] = field(default_factory=set)
    overdue: set[str] = field(default_factory=set)
    flapping: set[str] = field(default_factory=set)
    left_teams: set[str] = field(default_factory=set)
    orphaned: dict[str, tuple[Orphaned, ...]] = field(default_factory=dict)
    _held: list[tuple[str, Role]] | None = field(default=None, repr=False, compare=False)
    _ending: list[tuple[str, Role]] = field(default_factory=list, repr=False, compare=False)
    _bytes: int | None = field(default=None, repr=False, compare=False)

    @property
    def team(self) -> str:
        """Its team now, or `service:` and the service that it was first seen in."""
        return self.membership.current

    def held(self) -> list[tuple[str, Role]]:
        """The roles held now, in the order of their latest grant.  Not to be changed."""
        if self._held is None:
            self._held = sorted(
                ((name, role) for name, role in self.roles.items() if role.held),
                key=lambda item: _key(item[1].changed),
            )
            self._ending = [(name, role) for name, role in self._held if role.ends_day >= 0]
        return self._held

    def ending(self) -> list[tuple[str, Role]]:
        """Those of the roles held that were granted until some day.  Not to be changed."""
        self.held()
        return self._ending

    def apply(self, event: Event) -> Change:
        """Take in an event of this subject."""
        day = event.occurred_at // DAY
        later = day > self.latest_day
        self.latest_day = max(day, self.latest_day)
        team = self.team
        seen = self.membership.see(event, day)
        if event.outcome == "success" and self._hold(event):
            return Change.HOLDING
        if seen and self.team != team:
            return Change.HOLDING
        used = event.outcome == "success" and self._use(event.role, day)
        return Change.USE if used or seen or (later and self.roles) else Change.NOTHING

    def _hold(self, event: Event) -> bool:
        """True where a role came or went, or it is known now that it did."""
        if event.action not in _HOLDS:
            return False
        at = Occurrence(event.occurred_at, event.event_id)
        if event.action == "grant" and event.role is not None:
            return self._turn(event.role, Turn(at.occurred_at, at.event_id, True), _granted(event, at))
        if event.action == "revoke" and event.role is not None:
            return self._turn(event.role, Turn(at.occurred_at, at.event_id, False), Role(False, at))
        if event.action == "delete" and event.role is None and event.subject not in (None, event.actor_id):
            # The subject itself is deleted.  With a role, or by the subject, it is a use: of something else.
            if self.deleted is None or _key(at) > _key(self.deleted):
                self.deleted = at
            for name, role in self.roles.items():
                self._set(name, role, Role(False, at))
            return True
        return False

    def _use(self, name: str | None, day: int) -> bool:
        """True where the role was not used yet on this day."""
        role = self.roles.get(name or "")
        if role is None or day <= role.last_used_day:
            return False
        role.last_used_day = day
        return True

    def _turn(self, name: str, turn: Turn, now: Role) -> bool:
        """The role was granted or revoked, and from then on is `now`."""
        role = self.roles.get(name)
        if role is None:
            if self._is_full(name):
                self._forget_revoked()
                if self._is_full(name):
                    return False
            role = self.roles[name] = Role(False, Occurrence(0, ""))
            self._bytes = self._size() + role.bytes_named(name)
        is_known = role.note(turn)
        if now.held and self.deleted is not None and _key(now.changed) <= _key(self.deleted):
            # Granted before the subject was deleted, and heard of later.
            now = Role(False, self.deleted)
        return self._set(name, role, now) or is_known

    def _set(self, name: str, role: Role, now: Role) -> bool:
        """True where this is later than what was known."""
        if _key(now.changed) <= _key(role.changed):
            return False
        self._held = None
        others = self._size() - role.bytes_named(name)
        if others + now.bytes_named(name) > MAX_BYTES:
            # The role is followed; what it gives, and where, is not compared.
            now.permissions, now.environment, now.resource, now.key = (), "", "", ""
        self._bytes = others + now.bytes_named(name)
        role.held, role.changed, role.permissions = now.held, now.changed, now.permissions
        role.ends_day, role.team = now.ends_day, now.team
        role.environment, role.resource, role.key = now.environment, now.resource, now.key
        return True

    def _size(self) -> int:
        """Bytes of names, permissions, places and keys."""
        if self._bytes is None:
            self._bytes = sum(role.bytes_named(name) for name, role in self.roles.items())
        return self._bytes

    def _is_full(self, name: str) -> bool:
        return len(self.roles) >= MAX_ROLES or self._size() + len(name.encode()) > MAX_BYTES

    def _forget_revoked(self) -> None:
        """Roles that went are kept to set late events right; beyond the limit they make room."""
        held = {name: role for name, role in self.roles.items() if role.held}
        if len(held) < len(self.roles):
            self.roles, self._bytes = held, None


def _granted(event: Event, at: Occurrence) -> Role:
    ends = -1 if event.expires_at is None else event.expires_at // DAY
    return Role(
        True,
        at,
        tuple(event.permissions),
        ends_day=ends,
        team=stated_team(event),
        environment=event.environment or "",
        resource=event.resource or "",
        key=event.key_name or "",
    )


def _key(at: Occurrence) -> tuple[Micros, str]:
    return at.occurred_at, at.event_id
