"""What one subject holds: its roles, when each was granted and last used.

The state is a last-writer-wins register a role, ordered by (time, event id), so that events of
one subject give the same state in whichever order they arrive.
"""

import json
from dataclasses import dataclass, field
from enum import Enum, auto

from keytrail.schemas.records import Event, Micros, Occurrence
from keytrail.stream.errors import StateFormError

DAY = 24 * 3600 * 1_000_000
_json = json.JSONEncoder(separators=(",", ":")).encode
FORM = 2  # of the packed state
MAX_CHARS = 500_000  # of its roles' names and permissions: its state must fit a Kafka record
_HOLDS = frozenset({"grant", "revoke", "delete"})
MAX_ROLES = 1_000  # of one subject; more are not followed: it has long been flagged


class Change(Enum):
    """What an event changed about a subject."""

    NOTHING = auto()
    USE = auto()  # when it was last seen, or used a role
    HOLDING = auto()  # the roles it holds, or its team


@dataclass(slots=True)
class Role:
    """One role of a subject.  Days are counted since 1970; -1: never used, or granted without an end."""

    held: bool
    changed: Occurrence
    permissions: tuple[str, ...] = ()
    last_used_day: int = -1
    ends_day: int = -1

    @property
    def day(self) -> int:
        """The day of the latest grant or revoke."""
        return self.changed.occurred_at // DAY


@dataclass(slots=True)
class SubjectAccess:
    """One subject.  `reported` is the team and the number of roles it last told its peers."""

    roles: dict[str, Role] = field(default_factory=dict)
    team: str = ""
    team_since: Micros = 0
    latest_day: int = -1
    deleted: Occurrence | None = None
    redundant: set[str] = field(default_factory=set)
    toxic: set[str] = field(default_factory=set)
    overdue: set[str] = field(default_factory=set)
    reported_team: str = ""
    reported_roles: int = 0
    _held: list[tuple[str, Role]] | None = field(default=None, repr=False, compare=False)

    def held(self) -> list[tuple[str, Role]]:
        """The roles held now, in the order of their latest grant.  Not to be changed."""
        if self._held is None:
            self._held = sorted(
                ((name, role) for name, role in self.roles.items() if role.held),
                key=lambda item: _key(item[1].changed),
            )
        return self._held

    def apply(self, event: Event) -> Change:
        """Take in an event of this subject."""
        day = event.occurred_at // DAY
        later = day > self.latest_day
        self.latest_day = max(day, self.latest_day)
        moved = self._move(event)
        if event.outcome == "success" and self._hold(event):
            return Change.HOLDING
        if moved:
            return Change.HOLDING
        used = event.outcome == "success" and self._use(event.role, day)
        return Change.USE if used or (later and self.roles) else Change.NOTHING

    def _hold(self, event: Event) -> bool:
        """True where a role came or went."""
        if event.action not in _HOLDS:
            return False
        at = Occurrence(event.occurred_at, event.event_id)
        if event.action == "grant" and event.role is not None:
            ends = -1 if event.expires_at is None else event.expires_at // DAY
            return self._set(event.role, True, at, tuple(event.permissions), ends)
        if event.action == "revoke" and event.role is not None:
            return self._set(event.role, False, at, ())
        if event.action == "delete" and event.role is None and event.subject not in (None, event.actor_id):
            # The subject itself is deleted.  With a role, or by the subject, it is a use: of something else.
            if self.deleted is None or _key(at) > _key(self.deleted):
                self.deleted = at
            for name in list(self.roles):
                self._set(name, False, at, ())
            return True
        return False

    def _use(self, name: str | None, day: int) -> bool:
        """True where the role was not used yet on this day."""
        role = self.roles.get(name or "")
        if role is None or day <= role.last_used_day:
            return False
        role.last_used_day = day
        return True

    def _move(self, event: Event) -> bool:
        team = event.attributes.get("team") or f"service:{event.service}"
        if team == self.team or event.occurred_at < self.team_since:
            return False
        if "team" not in event.attributes and self.team:
            return False
        self.team, self.team_since = team, event.occurred_at
        return True

    def _set(
        self, name: str, held: bool, at: Occurrence, permissions: tuple[str, ...], ends_day: int = -1
    ) -> bool:
        self._held = None
        if held and self.deleted is not None and _key(at) <= _key(self.deleted):
            # Granted before the subject was deleted, and heard of later.
            held, at, permissions = False, self.deleted, ()
        role = self.roles.get(name)
        if role is None and self._is_full(len(name)):
            self._forget_revoked()
            if self._is_full(len(name)):
                return False
        if not self._has_room(len(name) + sum(map(len, permissions))):
            permissions = ()  # the role is followed, what it gives is not compared
        if role is None:
            self.roles[name] = Role(held, at, permissions, ends_day=ends_day)
            return True
        if _key(at) <= _key(role.changed):
            return False
        role.held, role.changed, role.permissions, role.ends_day = held, at, permissions, ends_day
        return True

    def _has_room(self, chars: int) -> bool:
        """True where so many characters more, of names and permissions, may be held."""
        held = sum(len(name) + sum(map(len, role.permissions)) for name, role in self.roles.items())
        return held + chars <= MAX_CHARS

    def _is_full(self, chars: int) -> bool:
        return len(self.roles) >= MAX_ROLES or not self._has_room(chars)

    def _forget_revoked(self) -> None:
        """Roles that went are kept to set late events right; beyond the limit they make room."""
        self.roles = {name: role for name, role in self.roles.items() if role.held}


def _key(at: Occurrence) -> tuple[Micros, str]:
    return at.occurred_at, at.event_id


def pack(access: SubjectAccess) -> bytes:
    """The state as stored; see `unpack`."""
    roles = {
        name: [
            *(int(r.held), r.changed.occurred_at, r.changed.event_id, list(r.permissions)),
            *(r.last_used_day, r.ends_day),
        ]
        for name, r in access.roles.items()
    }
    deleted = [access.deleted.occurred_at, access.deleted.event_id] if access.deleted else None
    return _json(
        [
            FORM,
            roles,
            access.team,
            access.team_since,
            access.latest_day,
            deleted,
            sorted(access.redundant),
            access.reported_team,
            access.reported_roles,
            sorted(access.toxic),
            sorted(access.overdue),
        ]
    ).encode()


def unpack(packed: bytes) -> SubjectAccess:
    form, *fields = json.loads(packed)
    if form == 1:
        fields += [[], []]  # written before these were kept
    elif form != FORM:
        raise StateFormError("subject", form)
    roles, team, since, latest, deleted, redundant, reported_team, reported_roles, toxic, overdue = fields
    return SubjectAccess(
        roles={
            name: Role(bool(held), Occurrence(at, event_id), tuple(permissions), *days)
            for name, (held, at, event_id, permissions, *days) in roles.items()
        },
        team=team,
        team_since=since,
        latest_day=latest,
        deleted=Occurrence(*deleted) if deleted else None,
        redundant=set(redundant),
        reported_team=reported_team,
        reported_roles=reported_roles,
        toxic=set(toxic),
        overdue=set(overdue),
    )
