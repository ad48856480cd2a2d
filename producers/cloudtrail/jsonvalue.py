"""JSON as it was parsed, and taking text out of it without trusting its shape."""

from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

_LARGEST = 1 << 63


def at(node: Json, *path: str) -> Json:
    """The value under the names of `path`, one within the other; None where there is none."""
    for name in path:
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return node


def text_at(node: Json, *path: str) -> str | None:
    """The scalar at `path` as text; None for what is absent, empty, a list or an object."""
    found = at(node, *path)
    if isinstance(found, str):
        return found or None
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) or (isinstance(found, int) and abs(found) < _LARGEST):
        return str(found)
    return None
