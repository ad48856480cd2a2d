"""YAML as nodes that know their line; no objects are made from it, and it cannot refer to itself."""

from typing import Any

import yaml

from keytrail.stream.policies.problems import Problems

REFUSED = "!refused"  # the tag of a node that stands for an alias, of which the problem was said
_MOST_DEPTH = 20
_MOST_NODES = 50_000
_QUOTES = "Put a pattern that begins with * or & in quotes."


def compose(text: str, problems: Problems) -> yaml.Node | None:
    """The document's root, or None where there is none.  Adds what is wrong with the text to `problems`."""
    try:
        loader = _Loader(text, problems)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(
            line, f"The character U+{ord(text[error.position]):04X} cannot stand in YAML. Take it out."
        )
    except yaml.MarkedYAMLError as error:
        _add_marked(error, problems)
    except (yaml.YAMLError, ValueError, OverflowError):
        # An escape that stands for no character, such as "\UFFFFFFFF".
        problems.add(0, "It is not valid YAML. Look for odd escapes that begin with a backslash.")
    return None


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Loader(yaml.SafeLoader):
    """Composes nodes; says where there are anchors and aliases, and goes on."""

    def __init__(self, text: str, problems: Problems) -> None:
        super().__init__(text)
        self._problems = problems
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line, is_alias = event.start_mark.line + 1, isinstance(event, yaml.AliasEvent)
        self._nodes += 1
        if self._depth >= _MOST_DEPTH or self._nodes > _MOST_NODES:
            raise yaml.composer.ComposerError(
                None, None, "lists and mappings are nested too deep, or too many", event.start_mark
            )
        if is_alias:
            self.get_event()  # type: ignore[no-untyped-call]
            self._problems.add(line, f"*{event.anchor} is an alias, which a policy does not take. {_QUOTES}")
            return yaml.ScalarNode(REFUSED, "", event.start_mark, event.end_mark)
        if event.anchor is not None:
            self._problems.add(line, f"&{event.anchor} is an anchor, which a policy does not take. {_QUOTES}")
            event.anchor = None
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _add_marked(error: yaml.MarkedYAMLError, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 0
    if error.context in ("while scanning an alias", "while scanning an anchor"):
        problems.add(line, f"It is not valid YAML. {_QUOTES}")
        return
    said = ", ".join(part for part in (error.context, error.problem) if part)
    problems.add(line, f"It is not valid YAML ({said}).")
