"""The latest grants of each key in one partition, for when the key is revoked or its owner leaves.

Of each key that granted roles, the `KEPT` latest grants by event time are kept; which keys are remembered,
`uses` says.  Once events have come that are as late as a key's end, what remains of its grants is told
(`detections.orphaned_access`), before the event that brought the time is applied: so it does not matter how
events lie in batches.
"""

import json
from bisect import insort
from typing import NamedTuple

from keytrail.schemas.records import Event, Micros
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.detections.orphaned_access import HeldGrant, ends_of
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.signals import SignalBook
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.stages.judging import Judge
from keytrail.stream.stages.store import StateChange, StateStore
from keytrail.stream.stages.uses import KeyUses

FORM = 1  # of the packed state
KEPT = 16
_NEVER = Micros(1 << 62)


class Grant(NamedTuple):
    """Ordered by time, then id."""

    at: Micros
    event_id: str
    subject: str
    role: str


class KeyGrants:
    """By the key's name, as events state it.  Not thread-safe.  `subjects` are those of the partition."""

    def __init__(self, keys: KeyDirectory, uses: KeyUses, subjects: StateStore[SubjectAccess]) -> None:
        self._keys = keys
        self._uses = uses
        self._subjects = subjects
        self._store: StateStore[list[Grant]] = StateStore("grants", pack, unpack)
        self._waiting: dict[str, Micros] | None = None  # when keys end that have not yet; None: not looked
        self._next = Micros(0)  # the first of these times

    @property
    def prefix(self) -> bytes:
        return self._store.prefix

    def note(self, name: str, event: Event) -> None:
        """A role that was granted with the key `name`."""
        grants = self._store.get(name) or []
        insort(grants, Grant(event.occurred_at, event.event_id, event.whose, event.role or ""))
        del grants[:-KEPT]
        self._store.put(name, grants)

    def forget(self, name: str) -> None:
        if self._store.peek(name) is not None:
            self._store.remove(name)

    def judge_ended(self, judge: Judge, book: SignalBook) -> None:
        """What remains of keys whose end has been reached since."""
        if self._next > self._uses.reached:
            return
        if self._waiting is None:
            # What an earlier run waited for.  Of keys that have no end, no subject need be looked at.
            self._waiting = {name: self._uses.reached for name in self._store if self._ends(name)}
        for name in [name for name, at in self._waiting.items() if at <= self._uses.reached]:
            del self._waiting[name]
            self.judge_key(name, judge, book)
        self._next = min(self._waiting.values(), default=_NEVER)

    def judge_key(self, name: str, judge: Judge, book: SignalBook) -> None:
        """What remains of a key of which something else is known than before."""
        self._wait_for(name)
        for grant in self._store.peek(name) or ():
            access = self._subjects.get(grant.subject)
            role = access.roles.get(grant.role) if access is not None else None
            if access is None or role is None or not role.held or role.changed.event_id != grant.event_id:
                continue
            if self._judge_role(grant.subject, access, grant.role, judge, book):
                self._subjects.put(grant.subject, access)

    def judge_grant(self, event: Event, access: SubjectAccess, judge: Judge, book: SignalBook) -> list[str]:
        """The rules that found a role that was granted just now: its key may have ended before."""
        name = event.role or ""
        role = access.roles.get(name)
        if role is None or not role.held or not event.key_name:
            return []
        self._wait_for(event.key_name)
        return self._judge_role(event.whose, access, name, judge, book)

    def _judge_role(
        self, subject: str, access: SubjectAccess, name: str, judge: Judge, book: SignalBook
    ) -> list[str]:
        role = access.roles[name]
        key = self._keys.named(role.key, self._uses.reached)
        verdicts = judge.grant(HeldGrant(subject, access, name, key, self._uses.reached))
        for verdict in verdicts:
            book.add(verdict, verdict.evidence[0])
        return [verdict.rule.name for verdict in verdicts]

    def _wait_for(self, name: str) -> None:
        """Judge the key's grants once its end is reached, if it has one that is not."""
        later = [at for at in self._ends(name) if at > self._uses.reached]
        if later and self._waiting is not None:
            self._waiting[name] = min(*later, self._waiting.get(name, _NEVER))
            self._next = min(self._next, self._waiting[name])

    def look_again(self, name: str) -> None:
        """Judge the key's grants before the next event, if it has an end: that may not have been known when
        it was looked for keys that have.
        """
        if self._waiting is not None and self._ends(name) and self._store.peek(name):
            self._waiting[name] = self._uses.reached
            self._next = min(self._next, self._uses.reached)

    def _ends(self, name: str) -> list[Micros]:
        return ends_of(self._keys.named(name, Micros(0)))

    def take_changes(self) -> list[StateChange]:
        return self._store.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._store.restore(key, value)


def pack(grants: list[Grant]) -> bytes:
    return json.dumps([FORM, *grants], separators=(",", ":"), ensure_ascii=False).encode()


def unpack(packed: bytes) -> list[Grant]:
    form, *grants = json.loads(packed)
    if form != FORM:
        raise StateFormError("grants", form)
    return [Grant(*grant) for grant in grants]
