"""Texts of custom rules, with fields in braces: "{event.actor_id} used {key.key_id}"."""

import re
from functools import lru_cache

from keytrail.stream.custom.expression import ExpressionError, fields_of
from keytrail.stream.custom.facts import About, facts

_FIELD = re.compile(r"\{(\w+)\.(\w+)\}")


@lru_cache(maxsize=4096)
def fields_in(text: str) -> dict[str, tuple[str, ...]]:
    """The fields that the text names.  Raises `ExpressionError` for one that is not there."""
    rest = _FIELD.sub("", text)
    if "{" in rest or "}" in rest:
        raise ExpressionError("has a brace that is no field's; write fields as {event.actor_id}.")
    named = _FIELD.findall(text)
    if others := [source for source, _ in named if source not in ("event", "key", "access")]:
        raise ExpressionError(f"names {others[0]}; there are: event, key, access.")
    return fields_of(" ".join(f"{source}.{name}" for source, name in named))


def filled(text: str, about: About) -> str:
    """The text with the fields' values.  Raises `TooLargeError` where one is beyond the limits."""
    values = facts(about, fields_in(text))

    def value(match: re.Match[str]) -> str:
        found = values[match[1]][match[2]]
        return ", ".join(found) if isinstance(found, list) else str(found)

    return _FIELD.sub(value, text)
