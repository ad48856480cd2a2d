"""Shapes of a policy file's lists and mappings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from keytrail.stream.policies.nodes import REFUSED, line_of
from keytrail.stream.policies.policy import RuleSetting
from keytrail.stream.policies.problems import Problems
from keytrail.stream.policies.shapes import Schema, Shape, Text, quoted, refuse

_MOST_ITEMS = 1_000
_LONGEST_NAME = 40  # that is looked for among the known ones


@dataclass(frozen=True)
class Field:
    """`says` is what the value means, in a sentence."""

    shape: Shape
    says: str
    required: bool = False


@dataclass(frozen=True)
class Several(Shape):
    """A list.  No two items have the same name, which is the item itself unless `name_of` gives another."""

    of: Shape
    least: int = 0
    name_of: Callable[[Any], object] = lambda item: item
    most: int = _MOST_ITEMS

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        if not isinstance(node, yaml.SequenceNode):
            refuse(node, where, "a list", problems)
            return None
        if not self.least <= len(node.value) <= self.most:
            problems.add(
                line_of(node), f"{where} has {len(node.value)} items; write {self.least} to {self.most}."
            )
            return None
        names: set[object] = set()
        items: list[object] = []
        for number, child in enumerate(node.value):
            place = f"{where}[{number}]"
            item = self.of.read(child, place, problems)
            if item is None:
                continue
            name = self.name_of(item)
            if name in names:
                problems.add(line_of(child), f"{place} is {quoted(str(name))} once more; leave one out.")
            names.add(name)
            items.append(item)
        return tuple(items) if len(items) == len(names) == len(node.value) else None

    def plain(self, value: Any) -> object:
        return [self.of.plain(item) for item in value]

    def schema(self) -> Schema:
        return {
            "type": "array",
            "items": self.of.schema(),
            "minItems": self.least,
            "maxItems": self.most,
            "uniqueItems": True,
        }


def patterns(what: str, example: str, least: int = 0) -> Several:
    """A list of texts, each of which is `what`, such as "a role's pattern"."""
    return Several(Text(what, example), least)


class Texts(Shape):
    """A mapping of names to texts."""

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        if not isinstance(node, yaml.MappingNode):
            refuse(node, where, "a mapping of names to texts", problems)
            return None
        text = Text("a text", "payments")
        names = [text.read(key, f"{where}'s name", problems) for key, _ in node.value]
        values = [text.read(value, where, problems) for _, value in node.value]
        return None if None in (*names, *values) else dict(zip(names, values, strict=True))

    def plain(self, value: Any) -> object:
        return dict(value)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string"}}


@dataclass(frozen=True)
class Record(Shape):
    """A mapping with these fields, which `make` takes.  One that is left out has the default of `make`."""

    make: Callable[..., object]
    fields: Mapping[str, Field]

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        if not isinstance(node, yaml.MappingNode):
            refuse(node, where or "The file", "a mapping with fields", problems)
            return None
        found: dict[str, object] = {}
        fine = True
        for name, child in _entries(node, where, self.fields, "field", problems):
            found[name] = self.fields[name].shape.read(child, _place(where, name), problems)
        for name, field in self.fields.items():
            if field.required and name not in found:
                fine = False
                problems.add(line_of(node), f"{_place(where, name)} is missing; add it.")
        return self.make(**found) if fine and None not in found.values() else None

    def plain(self, value: Any) -> dict[str, object]:
        return {name: field.shape.plain(getattr(value, name)) for name, field in self.fields.items()}

    def schema(self) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {
                name: {**field.shape.schema(), "description": field.says}
                for name, field in self.fields.items()
            },
            "additionalProperties": False,
        }
        if required := [name for name, field in self.fields.items() if field.required]:
            schema["required"] = required
        return schema


@dataclass(frozen=True)
class RuleSettings(Shape):
    """What is set for rules, by their names; `rules` has each one's own severity."""

    rules: Mapping[str, str]
    fields: Mapping[str, Field]

    def read(self, node: yaml.Node, where: str, problems: Problems) -> object:
        if not isinstance(node, yaml.MappingNode):
            refuse(node, where, "a mapping with names of rules", problems)
            return None
        record = Record(dict, self.fields)
        settings = []
        for name, child in _entries(node, where, self.rules, "rule", problems):
            found = record.read(child, _place(where, name), problems)
            if isinstance(found, dict):
                settings.append(RuleSetting(name, **found))
        # In one order, and without those that change nothing: the same policy has the same version.
        return tuple(sorted((s for s in settings if s != RuleSetting(s.name)), key=lambda s: s.name))

    def plain(self, value: Any) -> object:
        settings = {setting.name: setting for setting in value}
        return {name: _plain_setting(settings.get(name, RuleSetting(name))) for name in self.rules}

    def schema(self) -> Schema:
        rule = Record(dict, self.fields).schema()
        return {
            "type": "object",
            "properties": {
                name: {**rule, "description": f"By itself its severity is {severity}."}
                for name, severity in self.rules.items()
            },
            "additionalProperties": False,
        }


def _plain_setting(setting: RuleSetting) -> dict[str, object]:
    plain: dict[str, object] = {"enabled": setting.enabled}
    return plain if setting.severity is None else {**plain, "severity": setting.severity}


def _entries(
    node: yaml.MappingNode, where: str, known: Iterable[str], kind: str, problems: Problems
) -> Iterator[tuple[str, yaml.Node]]:
    """The mapping's entries whose names are known, each once."""
    names = list(known)
    lines: dict[str, int] = {}
    for key, child in node.value:
        line = line_of(key)
        if not isinstance(key, yaml.ScalarNode):
            problems.add(line, f"{where or 'The file'} has a list or mapping for a name; write a plain name.")
            continue
        name = str(key.value)
        if key.tag == REFUSED:
            continue
        if name not in names:
            problems.add(
                line, f"{_place(where, quoted(name)[1:-1])} is no {kind}; {_suggestion(name, names)}"
            )
        elif name in lines:
            place = _place(where, name)
            problems.add(line, f"{place} is there twice, first in line {lines[name]}; leave one out.")
        else:
            lines[name] = line
            yield name, child


def _suggestion(name: str, names: list[str]) -> str:
    near = get_close_matches(name.lower(), names, n=1) if len(name) <= _LONGEST_NAME else []
    return f"do you mean {near[0]}?" if near else f"there are: {', '.join(names)}."


def _place(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
