"""Expressions of custom rules, in CEL, and what is refused before one is ever asked.

The library neither checks types beforehand nor stops an expression that takes long: so what could take long
is refused by its form, and types are found out by a trial on empty values.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from keytrail.stream.custom.facts import SAMPLES, About, Value, facts

if TYPE_CHECKING:
    import cel

MOST_CHARACTERS = 1_000

_LITERAL = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_SOURCE = re.compile(r"(?<![\w.])(event|key|access)\b(?:\s*\.\s*(\w+))?")
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|filter|map)\s*\(\s*(\w*)\s*,")
_MATCHES = re.compile(r"\bmatches\s*\(\s*(\"\"\s*\))?")
_NAME = re.compile(r"\w+")
_FUNCTIONS = {
    *(
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "double",
        "string",
        "timestamp",
        "duration",
    ),
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
    *("getMinutes", "getSeconds"),
}


class ExpressionError(Exception):
    """What is wrong with an expression, and what to write instead, in sentences."""


@dataclass(frozen=True)
class Expression:
    """A condition over `wanted`, the fields that it names."""

    program: "cel.Program"
    wanted: dict[str, tuple[str, ...]]

    def holds(self, about: About) -> bool:
        """Raises whatever the library does, and `TooLargeError` where a field is beyond the limits."""
        return self.program.execute(dict(facts(about, self.wanted))) is True


@lru_cache(maxsize=4096)
def compiled(source: str) -> Expression:
    """Raises `ExpressionError`."""
    if len(source) > MOST_CHARACTERS:
        raise ExpressionError(f"has {len(source)} characters; write at most {MOST_CHARACTERS}.")
    # It takes 30 MB and up to a second to load, which only policies with custom rules need.
    import cel

    try:
        program = cel.compile(source)
        # Asking beforehand is what fails where the library's own parser broke down.
        functions, names = set(program.functions()), set(program.variables())
    except Exception as error:
        raise ExpressionError(f"is no CEL: {_said(error)}.") from error
    code = _LITERAL.sub('""', source)
    _refuse_costly(source, code)
    if unknown := sorted(name for name in functions - _FUNCTIONS if _NAME.fullmatch(name) and name[0] != "_"):
        there = ", ".join(sorted(_FUNCTIONS))
        raise ExpressionError(f"calls {unknown[0]}, which is not there; there are: {there}.")
    bound = {name for _, name in _MACRO.findall(code)}
    if unknown := sorted(bound & SAMPLES.keys() or names - bound - SAMPLES.keys()):
        raise ExpressionError(f"has the name {unknown[0]}; ask about event, key and access alone.")
    expression = Expression(program, fields_of(code))
    _try(expression)
    return expression


def fields_of(code: str) -> dict[str, tuple[str, ...]]:
    """The fields that are named.  Raises `ExpressionError` for one that is not there."""
    wanted: dict[str, dict[str, None]] = {}
    for source, name in _SOURCE.findall(code):
        if name not in SAMPLES[source]:
            there = ", ".join(SAMPLES[source])
            what = f"{source}.{name}, which is no field" if name else f"{source} without a field"
            raise ExpressionError(f"names {what}; there are: {there}.")
        wanted.setdefault(source, {})[name] = None
    return {source: tuple(names) for source, names in wanted.items()}


def _refuse_costly(source: str, code: str) -> None:
    """One walk over one list, and patterns that are known beforehand and do not count, are cheap enough."""
    if len(_MACRO.findall(code)) > 1:
        raise ExpressionError(
            "walks over more than one list; keep one of all, exists, exists_one, filter, map."
        )
    patterns = _MATCHES.findall(code)
    if not all(patterns):
        raise ExpressionError("has a pattern that is not written out; give matches a text in quotes.")
    if patterns and any("{" in literal for literal in _LITERAL.findall(source)):
        raise ExpressionError("has a pattern with counts in braces; write it with * and +.")


def _try(expression: Expression) -> None:
    """Ask it about empty values, of which lists have one item each."""
    values: dict[str, dict[str, Value]] = {
        source: {name: _sample(SAMPLES[source][name]) for name in names}
        for source, names in expression.wanted.items()
    }
    try:
        found = expression.program.execute(dict(values))
    except (KeyError, IndexError, ZeroDivisionError):
        return  # depends on the values
    except Exception as error:
        if "timestamp" in str(error).lower() or "duration" in str(error).lower():
            return
        raise ExpressionError(f"cannot be asked: {_said(error)}") from error
    if not isinstance(found, bool):
        raise ExpressionError(
            f"gives {type(found).__name__} and not true or false; compare it with something."
        )


def _sample(value: Value) -> Value:
    return [""] if isinstance(value, list) else value


def _said(error: Exception) -> str:
    """The library's own words, the first line of them."""
    text = str(error).partition("ERROR: <input>:")[2] or str(error)
    return " ".join(text.split("\n")[0].split())[:200]
