"""Duties that nobody should hold together, and which of them a role is of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.permissions import reaches
from keytrail.stream.policies.role_model import RoleModel

_MOST_REMEMBERED = 65_536  # what a grant says of its role is free text


@dataclass(frozen=True)
class Separation:
    """Duties that nobody should hold together; see `detections.toxic_combination`.

    `first` and `second` are patterns of roles, `..._permissions` of what roles permit.  Roles count that were
    granted in one of `environments`, and together where both are for the same thing: `within` is "anything",
    "environment" or "resource".
    """

    name: str
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    first_permissions: tuple[str, ...] = ()
    second_permissions: tuple[str, ...] = ()
    environments: tuple[str, ...] = ("*",)
    within: str = "anything"


class Sides(NamedTuple):
    """What of a role is of each side of a separation: names of roles, and permissions."""

    separation: Separation
    first: tuple[str, ...]
    second: tuple[str, ...]


class Duties:
    """A role is held against the separations once for all that were granted it in the same form."""

    def __init__(self, separations: Sequence[Separation], model: RoleModel) -> None:
        self._separations = separations
        self._model = model
        self._known: dict[tuple[str, tuple[str, ...]], tuple[Sides, ...]] = {}

    def of(self, role: str, stated: tuple[str, ...]) -> tuple[Sides, ...]:
        """Of the separations, in their order, that the role has something of; of most roles none.

        `stated` are the permissions that are known of it besides those that the policy describes.
        """
        found = self._known.get((role, stated))
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[role, stated] = tuple(self._sides(role, stated))
        return found

    def _sides(self, role: str, stated: tuple[str, ...]) -> Iterator[Sides]:
        names, permissions = self._model.within(role), self._model.permissions(role, stated)
        for apart in self._separations:
            first = _like(apart.first, apart.first_permissions, names, permissions)
            second = _like(apart.second, apart.second_permissions, names, permissions)
            if first or second:
                yield Sides(apart, first, second)


def _like(
    roles: Sequence[str], permits: Sequence[str], names: Iterable[str], permissions: Iterable[str]
) -> tuple[str, ...]:
    """Of the names and permissions, those that are like the patterns."""
    found = [name for name in names if matches_any(roles, name)]
    if permits:
        found += [p for p in permissions if p.strip("*:") and reaches(p, permits)]
    return tuple(found)
