"""The roles and groups that a policy describes: what each gives, with all that is in it.

A role or group may include others, however deep.  What an event states of a role and what the policy says of
it add up.  Source of the idea: role hierarchies in ANSI INCITS 359 (RBAC).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DescribedRole:
    """A role or group: its own permissions, and the names of the roles and groups within it."""

    name: str
    permissions: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


class RoleModel:
    """Each role is taken apart once, when it is first asked for.  Thread-safe: what is kept never changes."""

    def __init__(self, roles: Iterable[DescribedRole]) -> None:
        self._roles = {role.name: role for role in roles}
        self._within: dict[str, tuple[str, ...]] = {}
        self._permissions: dict[str, tuple[str, ...]] = {}

    def names(self) -> Iterable[str]:
        return self._roles.keys()

    def within(self, name: str) -> tuple[str, ...]:
        """The role and all that it includes, itself first; of a role that is not described, itself."""
        if name not in self._roles:
            return (name,)
        found = self._within.get(name)
        if found is None:
            found = self._within[name] = tuple(_reached(name, self._roles))
        return found

    def permissions(self, name: str, stated: Iterable[str] = ()) -> tuple[str, ...]:
        """What the role gives: as an event stated it, and as it and those within it are described."""
        if name not in self._roles:
            return tuple(stated)
        found = self._permissions.get(name)
        if found is None:
            described = (self._roles[each] for each in self.within(name) if each in self._roles)
            each_once = dict.fromkeys(permission for role in described for permission in role.permissions)
            found = self._permissions[name] = tuple(each_once)
        return tuple(dict.fromkeys((*stated, *found)))


def cycles(roles: Iterable[DescribedRole]) -> list[tuple[str, ...]]:
    """Roles that include themselves, each way round once, such as `("a", "b", "a")`."""
    by_name = {role.name: role for role in roles}
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in by_name:
        path: dict[str, Iterator[str]] = {}
        if start not in done:
            path[start] = iter(by_name[start].includes)
        while path:
            name, left = next(reversed(path.items()))
            included = next(left, None)
            if included is None:
                done.add(name)
                del path[name]
            elif included in path:
                way = list(path)
                found.append((*way[way.index(included) :], included))
            elif included in by_name and included not in done:
                path[included] = iter(by_name[included].includes)
    return found


def _reached(name: str, roles: Mapping[str, DescribedRole]) -> dict[str, None]:
    reached = {name: None}
    waiting = [name]
    while waiting:
        for included in roles[waiting.pop()].includes:
            if included not in reached:
                reached[included] = None
                if included in roles:
                    waiting.append(included)
    return reached
