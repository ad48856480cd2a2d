"""Shapes of what a custom rule is made of: names, expressions and texts with fields in them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from keytrail.stream.custom.expression import MOST_CHARACTERS, ExpressionError, compiled
from keytrail.stream.custom.rule import PREFIX
from keytrail.stream.custom.template import fields_in
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.policies.nodes import line_of
from keytrail.stream.policies.problems import Problems
from keytrail.stream.policies.shapes import OneOf, Scalar, Schema, Shape, refuse

_NAME = f"{PREFIX}[a-z0-9_]{{1,40}}"


class CustomName(Scalar):
    """A name that no rule of the catalogue has, now or later."""

    @property
    def wanted(self) -> str:
        return f"a name of small letters, digits and _ that begins with {PREFIX}, such as {PREFIX}night_grant"

    def take(self, tag: str, text: str) -> object:
        return text if tag == "str" and re.fullmatch(_NAME, text) else None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{_NAME}$"}


class RuleName(Scalar):
    """A rule of the catalogue or one of a policy's own."""

    @property
    def wanted(self) -> str:
        return f"{OneOf(tuple(RULES)).wanted}, or a custom rule's name"

    def take(self, tag: str, text: str) -> object:
        return text if text in RULES else CustomName().take(tag, text)

    def schema(self) -> Schema:
        return {"anyOf": [{"enum": list(RULES)}, CustomName().schema()]}


@dataclass(frozen=True)
class Checked(Shape):
    """A text of `least` to `most` characters that `check` refuses by an `ExpressionError`."""

    check: Callable[[str], object]
    wanted: str
    most: int
    least: int = 1

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        if not isinstance(node, yaml.ScalarNode) or not self.least <= len(node.value) <= self.most:
            refuse(node, where, f"{self.wanted}, of {self.least} to {self.most} characters", problems)
            return None
        try:
            self.check(node.value)
        except ExpressionError as error:
            problems.add(line_of(node), f"{where} {error}")
            return None
        return str(node.value)

    def plain(self, value: object) -> object:
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": self.least, "maxLength": self.most}


def condition() -> Shape:
    """An expression in CEL."""
    return Checked(compiled, 'a condition such as event.action == "grant"', MOST_CHARACTERS)


def template(least: int = 1) -> Shape:
    """A text with fields in braces."""
    return Checked(fields_in, 'a text such as "{event.actor_id} did it"', 300, least)
