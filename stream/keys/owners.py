"""Who owns which keys, and which owners have left.

Of those who left it knows what the topic of departures tells: of owners of keys alone (`stages.leavers`).
That is kept for good: a key that is used long after its owner left is what is looked for.
"""

from keytrail.schemas.records import Key, Micros


class Owners:
    """Not thread-safe: its owner sees to that."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, ...]] = {}
        self._left: dict[str, Micros] = {}

    def link(self, before: Key | None, after: Key | None) -> None:
        """A key's record changed from one to the other; None where it was not there, or is gone."""
        old = before.owner if before else None
        new = after.owner if after else None
        if old == new:
            return
        if before is not None and old is not None:
            others = tuple(key_id for key_id in self._keys[old] if key_id != before.key_id)
            if others:
                self._keys[old] = others
            else:
                del self._keys[old]
        if after is not None and new is not None:
            self._keys[new] = (*self._keys.get(new, ()), after.key_id)

    def keys_of(self, owner: str) -> tuple[str, ...]:
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
