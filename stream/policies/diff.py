"""What differs between two policies, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keytrail.stream.policies.form import plain
from keytrail.stream.policies.policy import Policy

_NAME = "name"  # of the items of a list that are mappings


@dataclass(frozen=True)
class Difference:
    """None stands for nothing there.  Of lists each item that came or went is a difference.

    Items that have a name are compared field by field with the one of that name.
    """

    field: str
    before: Any
    after: Any


def differences(before: Policy, after: Policy) -> list[Difference]:
    """Empty only where both are the same policy, with the same version."""
    return list(_between("", plain(before), plain(after)))


def _between(field: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_mappings(field, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(field, before, after)
    else:
        yield Difference(field, before, after)


def _of_mappings(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        place = f"{field}.{name}" if field else name
        yield from _between(place, before.get(name), after.get(name))


def _of_lists(field: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    if any(isinstance(item, dict) and _NAME in item for item in (*before, *after)):
        old, new = ({item[_NAME]: item for item in items} for items in (before, after))
        yield from _of_mappings(field, old, new)
        names = list(old), list(new)
    else:
        for item in (*before, *(item for item in after if item not in before)):
            kept = [item if item in items else None for items in (before, after)]
            yield from _between(field, *kept)
        names = before, after
    if names[0] != names[1] and sorted(names[0], key=str) == sorted(names[1], key=str):
        yield Difference(f"{field} (order)", *names)
