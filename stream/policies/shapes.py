"""Shapes of the values in a policy file: how each is read, written as plain data, and described.

Whatever checks a file also makes the schema, so that the two say the same.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import ip_network
from typing import Any

import yaml

from keytrail.schemas.errors import UsageError
from keytrail.schemas.hours import HOURS_FORM, parse_hours
from keytrail.stream.policies.nodes import REFUSED, line_of
from keytrail.stream.policies.problems import Problems

_MOST_CHARACTERS = 200
# No control characters, no blanks at the ends.
_TEXT = "^(?!\\s)[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]+(?<!\\s)$"
_WHOLE = re.compile("-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile("-?(0|[1-9][0-9]*)([.][0-9]+)?")
_DAY = re.compile("[12][0-9]{3}-[0-9]{2}-[0-9]{2}")
_MOST_DIGITS = 12
_MOST_SHOWN = 60

Schema = dict[str, object]


class Shape(ABC):
    """What a value may be.  `where` is its place in the file, such as `sprawl.least_roles`."""

    @abstractmethod
    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        """The value, or None where it was said what is wrong."""

    @abstractmethod
    def plain(self, value: Any) -> object:
        """A value that `read` gave, as mappings, lists, text and numbers, as a file would have it."""

    @abstractmethod
    def schema(self) -> Schema:
        """The same as a JSON Schema."""


class Scalar(Shape):
    """One word or number.  `wanted` says which, and `take` gives its value or None."""

    @property
    @abstractmethod
    def wanted(self) -> str: ...

    @abstractmethod
    def take(self, tag: str, text: str) -> object: ...

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        value = self.take(_tag(node), node.value) if isinstance(node, yaml.ScalarNode) else None
        if value is None:
            refuse(node, where, self.wanted, problems)
        return value

    def plain(self, value: Any) -> object:
        return value


@dataclass(frozen=True)
class Text(Scalar):
    """A pattern or a name; `example` is one."""

    what: str
    example: str

    @property
    def wanted(self) -> str:
        return (
            f'{self.what} such as "{self.example}", '
            f"of 1 to {_MOST_CHARACTERS} characters and with no blank at its ends"
        )

    def take(self, tag: str, text: str) -> object:
        fits = tag == "str" and len(text) <= _MOST_CHARACTERS and re.fullmatch(_TEXT, text)
        return text if fits else None

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": _MOST_CHARACTERS, "pattern": _TEXT}


@dataclass(frozen=True)
class Whole(Scalar):
    least: int
    most: int

    @property
    def wanted(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def take(self, tag: str, text: str) -> object:
        if tag != "int" or len(text) > _MOST_DIGITS or not _WHOLE.fullmatch(text):
            return None
        number = int(text)
        return number if self.least <= number <= self.most else None

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Decimal(Scalar):
    least: float
    most: float

    @property
    def wanted(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def take(self, tag: str, text: str) -> object:
        if tag not in ("int", "float") or len(text) > _MOST_DIGITS or not _DECIMAL.fullmatch(text):
            return None
        number = float(text)
        return number if self.least <= number <= self.most else None

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Only(Scalar):
    """A number that there is but one of."""

    number: int

    @property
    def wanted(self) -> str:
        return f"{self.number}, which is the form that this keytrail reads"

    def take(self, tag: str, text: str) -> object:
        return self.number if tag == "int" and text == str(self.number) else None

    def plain(self, value: Any) -> object:  # noqa: ARG002  # a policy does not keep it
        return self.number

    def schema(self) -> Schema:
        return {"const": self.number}


class Flag(Scalar):
    @property
    def wanted(self) -> str:
        return "true or false"

    def take(self, tag: str, text: str) -> object:
        return {"true": True, "false": False}.get(text) if tag == "bool" else None

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class OneOf(Scalar):
    words: tuple[str, ...]

    @property
    def wanted(self) -> str:
        return f"{', '.join(self.words[:-1])} or {self.words[-1]}"

    def take(self, tag: str, text: str) -> object:
        return text if tag == "str" and text in self.words else None

    def schema(self) -> Schema:
        return {"enum": list(self.words)}


class Day(Scalar):
    """A date of this millennium or the last, kept as text."""

    @property
    def wanted(self) -> str:
        return "a day such as 2027-01-31"

    def take(self, tag: str, text: str) -> object:
        if tag not in ("str", "timestamp") or not _DAY.fullmatch(text):
            return None
        try:
            date.fromisoformat(text)
        except ValueError:
            return None
        return text

    def schema(self) -> Schema:
        return {"type": "string", "format": "date"}


class OfficeHours(Scalar):
    """Hours of the week as `schemas.hours` has them."""

    @property
    def wanted(self) -> str:
        return "hours such as Mon-Fri 08:00-18:00 Europe/Berlin"

    def take(self, tag: str, text: str) -> object:
        if tag != "str":
            return None
        try:
            parse_hours(text)
        except UsageError:
            return None
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{HOURS_FORM}$"}


class Network(Scalar):
    """A network, or one address."""

    @property
    def wanted(self) -> str:
        return "a network such as 203.0.113.0/24"

    def take(self, tag: str, text: str) -> object:
        try:
            ip_network(text, strict=False)
        except ValueError:
            return None
        return text if tag == "str" else None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"}


class Moment(Scalar):
    """A time with its zone."""

    @property
    def wanted(self) -> str:
        return "a time with its zone such as 2027-01-31T09:00:00Z"

    def take(self, tag: str, text: str) -> object:
        if tag not in ("str", "timestamp"):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is None or not 1971 <= moment.year <= 9000:
            return None
        return round(moment.timestamp()) * 1_000_000

    def schema(self) -> Schema:
        return {"type": "string", "format": "date-time"}


def refuse(node: yaml.Node, where: str, wanted: str, problems: Problems) -> None:
    """Say that the value is another than what is wanted there."""
    if node.tag != REFUSED:
        problems.add(line_of(node), f"{where} is {_shown(node)}; write {wanted}.")


def quoted(text: str) -> str:
    """A text as a message may show it: short, and without characters that a terminal obeys."""
    short = text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
    return f'"{short if short.isprintable() else short.encode("unicode_escape").decode()}"'


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if not isinstance(node, yaml.ScalarNode):
        return "a mapping"
    if not node.value or _tag(node) == "null":
        return "empty"
    return quoted(node.value) if _tag(node) == "str" else quoted(node.value)[1:-1]


def _tag(node: yaml.Node) -> str:
    return str(node.tag).removeprefix("tag:yaml.org,2002:")
