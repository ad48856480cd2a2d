"""Which key issued which: the ancestors and the descendants of a key."""

from collections.abc import Callable

from keytrail.schemas.records import Key

MOST_ANCESTORS = 16  # a chain is followed so far; one that runs in a circle has an end too


class Lineage:
    """Not thread-safe: its owner sees to that.  `find` gives a key's latest record by its id."""

    def __init__(self, find: Callable[[str], Key | None]) -> None:
        self._find = find
        self._children: dict[str, dict[str, None]] = {}

    def link(self, before: Key | None, after: Key | None) -> None:
        """A key's record changed from one to the other; None where it was not there, or is gone."""
        old = before.parent_key if before else None
        new = after.parent_key if after else None
        if old == new:
            return
        if before is not None and old is not None:
            siblings = self._children[old]
            siblings.pop(before.key_id, None)
            if not siblings:
                del self._children[old]
        if after is not None and new is not None:
            self._children.setdefault(new, {})[after.key_id] = None

    def ancestors(self, key: Key) -> tuple[Key, ...]:
        """The registered keys that it descends from, its parent first."""
        found: dict[str, Key] = {}
        parent = key.parent_key
        while parent is not None and parent != key.key_id and parent not in found:
            ancestor = self._find(parent)
            if ancestor is None or len(found) == MOST_ANCESTORS:
                break
            found[parent] = ancestor
            parent = ancestor.parent_key
        return tuple(found.values())

    def descendants(self, key_id: str) -> list[Key]:
        """The keys whose ancestors it is among."""
        found: dict[str, Key] = {}
        generation = [key_id]
        for _ in range(MOST_ANCESTORS):
            children = [child for parent in generation for child in self._children.get(parent, ())]
            generation = []
            for child in children:
                key = self._find(child)
                if key is not None and child != key_id and child not in found:
                    found[child] = key
                    generation.append(child)
        return list(found.values())
