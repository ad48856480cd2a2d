"""Owners of keys who were deleted: all partitions are told by the one that the owner, as a subject, lies in.

Nobody is told of subjects who own no key, so that departures are no more than owners, whoever else is deleted
or made up.  Who comes to own a key later is looked up then: that a subject was deleted is in its own state.
"""

from keytrail.schemas.records import Micros
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.keys.departures import left_at, record_of
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.stages.store import StateChange, StateStore

_AT_ONCE = 2_000  # keys; after a start the owners of all are looked up


class Leavers:
    """Those of one partition; `subjects` are its.  Not thread-safe."""

    def __init__(self, keys: KeyDirectory, subjects: StateStore[SubjectAccess]) -> None:
        self._keys = keys
        self._subjects = subjects
        self._mark = 0
        self._names: list[str] = []  # of keys whose owners are to be looked up, the last one first
        self._untold: dict[str, Micros | None] = {}

    def note(self, subject: str, access: SubjectAccess) -> list[str]:
        """What the subject holds has changed.  The names of keys of which something else is known now."""
        if access.deleted is None or not self._keys.knows_owner(subject):
            return []
        # Known here at once, and elsewhere once it is committed.
        left = self._untold[subject] = left_at(access)
        mark = self._keys.mark
        self._keys.owner_leaves(subject, left)
        return self._keys.changed_since(mark)[0] if self._keys.mark != mark else []

    def take(self) -> list[StateChange]:
        """Records for the topic of departures, of what was noted since the last call."""
        records = [record_of(subject, left) for subject, left in self._untold.items()]
        self._untold.clear()
        return records

    def due(self) -> list[StateChange]:
        """The same of those whose keys were registered, or changed hands, after they left."""
        names, self._mark = self._keys.changed_since(self._mark)
        # What changed last comes first: after a start it would wait behind all keys.
        self._names += reversed(names)
        some = self._names[-_AT_ONCE:]
        del self._names[-_AT_ONCE:]
        keys = [key for name in reversed(some) if (key := self._keys.find(name)) is not None]
        records = []
        for owner in dict.fromkeys(key.owner for key in keys):
            access = self._subjects.peek(owner)
            if access is not None and access.deleted is not None:
                left = left_at(access)
                if left != self._keys.left_at(owner):
                    records.append(record_of(owner, left))
        return records
