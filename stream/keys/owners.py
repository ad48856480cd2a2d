"""Who owns which keys, and which owners have left.

Of those who left it knows what the topic of departures tells: of owners of keys alone (`stages.leavers`).
That is kept for good: a key that is used long after its owner left is what is looked for.
"""

from collections.abc import Collection

from keytrail.schemas.records import Key, Micros

_FEW = 8  # keys of an owner; a tuple of them is smallest, and to add one copies it


class Owners:
    """Not thread-safe: its owner sees to that."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, ...] | dict[str, None]] = {}
        self._left: dict[str, Micros] = {}

    def link(self, before: Key | None, after: Key | None) -> None:
        """A key's record changed from one to the other; None where it was not there, or is gone."""
        old = before.owner if before else None
        new = after.owner if after else None
        if old == new:
            return
        if before is not None and old is not None:
            self._remove(old, before.key_id)
        if after is not None and new is not None:
            self._add(new, after.key_id)

    def _add(self, owner: str, key_id: str) -> None:
        known = self._keys.get(owner, ())
        if isinstance(known, dict):
            known[key_id] = None
        else:
            more = (*known, key_id)
            self._keys[owner] = more if len(more) <= _FEW else dict.fromkeys(more)

    def _remove(self, owner: str, key_id: str) -> None:
        known = self._keys[owner]
        if isinstance(known, dict):
            del known[key_id]
        else:
            known = self._keys[owner] = tuple(other for other in known if other != key_id)
        if not known:
            del self._keys[owner]

    def keys_of(self, owner: str) -> Collection[str]:
        return self._keys.get(owner, ())

    def left_at(self, owner: str) -> Micros | None:
        """When the owner left; None for one who is there."""
        return self._left.get(owner)

    def leave(self, owner: str, at: Micros | None) -> bool:
        """The owner left then, or (None) is there again; False where that was known."""
        if self._left.get(owner) == at:
            return False
        if at is None:
            del self._left[owner]
        else:
            self._left[owner] = at
        return True
