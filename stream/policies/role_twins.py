"""Described roles that give the same, or nearly, so that one of them could go.

Two are nearly the same where what both give is `NEAR` or more of what either gives (Jaccard).  Source of the
idea: duplicate and similar roles in IAM Role Diet (2025); the search looks only at roles that share one of
their rarer permissions, as prefix filtering does for similarity joins (Chaudhuri et al., ICDE 2006).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from math import ceil

from keytrail.stream.policies.role_model import RoleModel

NEAR = 0.8
_MOST = 100


@dataclass(frozen=True)
class Twins:
    """Two roles; `differ` permissions, of the `of` that either gives, only one of them gives."""

    one: str
    other: str
    differ: int
    of: int


def twins(model: RoleModel) -> list[Twins]:
    """The first hundred pairs: the same ones, each with the next of its kind, and then the near ones.

    A role is no twin of one that it includes and adds to.
    """
    by_content: dict[frozenset[str], list[str]] = {}
    for name in sorted(model.names()):
        if given := frozenset(model.permissions(name)):
            by_content.setdefault(given, []).append(name)
    same = (
        Twins(one, other, 0, len(given))
        for given, names in by_content.items()
        for one, other in pairwise(names)
    )
    near = (
        Twins(by_content[one][0], by_content[other][0], len(one ^ other), len(one | other))
        for one, other in _near(by_content)
        if not _is_built_on(model, by_content[one][0], by_content[other][0])
    )
    return list(islice(chain(same, near), _MOST))


def _near(contents: Iterable[frozenset[str]]) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Pairs that are nearly the same, each once."""
    every = sorted(contents, key=lambda given: (len(given), sorted(given)))
    often = Counter(permission for given in every for permission in given)
    with_one: dict[str, list[frozenset[str]]] = {}
    for given in every:
        rarest = sorted(given, key=lambda permission: (often[permission], permission))
        seen: set[frozenset[str]] = set()
        for permission in rarest[: len(given) - ceil(NEAR * len(given)) + 1]:
            for other in with_one.get(permission, ()):
                if other not in seen and len(given & other) >= NEAR * len(given | other):
                    yield other, given
                seen.add(other)
            with_one.setdefault(permission, []).append(given)


def _is_built_on(model: RoleModel, one: str, other: str) -> bool:
    return one in model.within(other) or other in model.within(one)
