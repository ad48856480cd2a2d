"""The part of a policy's form that is about roles: what is in them, and which are kept apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

import yaml

from keytrail.stream.policies.composites import Field, Record, Several, patterns
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.nodes import line_of
from keytrail.stream.policies.problems import Problems
from keytrail.stream.policies.role_model import DescribedRole, cycles
from keytrail.stream.policies.shapes import OneOf, Text, quoted

_MOST_ROLES = 10_000


_ROLE = Record(
    DescribedRole,
    {
        "name": Field(Text("a role's name", "billing-clerk"), "A role or group.", True),
        "permissions": Field(patterns("a permission", "invoices.read"), "What it gives by itself."),
        "includes": Field(patterns("a role's name", "reader"), "The roles and groups within it."),
    },
)


@dataclass(frozen=True)
class _Roles(Several):
    """Roles that include others of the list, and never themselves."""

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        roles = super().read(node, where, problems)
        if not isinstance(roles, tuple):
            return None
        lines = {role.name: _line_of_includes(child) for role, child in zip(roles, node.value, strict=True)}
        for line, text in _faults(roles, lines):
            problems.add(line, text)
        return roles


def _faults(roles: tuple[DescribedRole, ...], lines: dict[str, int]) -> Iterator[tuple[int, str]]:
    for role in roles:
        for included in role.includes:
            if included not in lines:
                yield (
                    lines[role.name],
                    f"{quoted(role.name)} includes {quoted(included)}, which is not among roles; "
                    "add it there, or leave it out.",
                )
    for way in cycles(roles):
        around = " includes ".join(map(quoted, way))
        yield (
            lines[way[-2]],
            f"{around}, so that it includes itself; take {quoted(way[-1])} out of {quoted(way[-2])}.",
        )


def _line_of_includes(node: yaml.Node) -> int:
    named = (key for key, _ in node.value if key.value == "includes")
    return line_of(next(named, node))


@dataclass(frozen=True)
class _SeparationForm(Record):
    """Each side names roles or permissions."""

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        found = super().read(node, where, problems)
        if isinstance(found, Separation):
            for side, patterns in (
                ("first", (*found.first, *found.first_permissions)),
                ("second", (*found.second, *found.second_permissions)),
            ):
                if not patterns:
                    problems.add(
                        line_of(node), f"{where}.{side} names no role; add it, or {side}_permissions."
                    )
        return found


_SEPARATION = _SeparationForm(
    Separation,
    {
        "name": Field(Text("a name", "payments"), "What the separation is called in findings.", True),
        "first": Field(patterns("a role's pattern", "*-creator"), "Roles of the one duty."),
        "second": Field(patterns("a role's pattern", "*-approver"), "Roles of the other duty."),
        "first_permissions": Field(
            patterns("a permission's pattern", "*.create"), "What only roles of the one duty permit."
        ),
        "second_permissions": Field(
            patterns("a permission's pattern", "*.approve"), "What only roles of the other duty permit."
        ),
        "environments": Field(
            patterns("an environment's pattern", "production", 1), "Where granted roles count."
        ),
        "within": Field(
            OneOf(("anything", "environment", "resource")),
            "Whether both must have been granted for the same environment or resource.",
        ),
    },
)

ROLES = {
    "privileged_roles": Field(
        patterns("a role's pattern", "*admin*"), "Roles that can do nearly everything."
    ),
    "privileged_permissions": Field(
        patterns("a permission's pattern", "iam:*"), "Permissions that make a role a privileged one."
    ),
    "escalation_permissions": Field(
        patterns("a permission's pattern", "iam:PassRole"),
        "Permissions that let their holder give itself more.",
    ),
    "roles": Field(
        _Roles(_ROLE, name_of=attrgetter("name"), most=_MOST_ROLES),
        "What roles and groups give, and what is within them.",
    ),
    "separations": Field(
        Several(_SEPARATION, name_of=attrgetter("name")), "Duties that nobody should hold together."
    ),
}
