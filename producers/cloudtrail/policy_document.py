"""IAM policy documents: which actions they allow.

Source: the IAM User Guide, "IAM JSON policy elements reference".
"""

import json
from collections.abc import Iterator
from urllib.parse import unquote

from keytrail.producers.cloudtrail.jsonvalue import Json

# An Allow with NotAction gives all actions but these; the prefix keeps them from reading as given.
ALL_BUT = "not:"


def allowed_actions(document: str | None) -> list[str]:
    """The actions of its Allow statements, each once, in order; empty where it is no policy document.

    Conditions and resources are not looked at: an action that is allowed only sometimes counts.
    `not:ACTION` stands for all actions but this one.
    """
    parsed = _parsed(document)
    statements = parsed.get("Statement") if isinstance(parsed, dict) else None
    found: dict[str, None] = {}
    for statement in _each(statements):
        if isinstance(statement, dict) and statement.get("Effect") == "Allow":
            found |= dict.fromkeys(_texts(statement.get("Action")))
            found |= dict.fromkeys(ALL_BUT + text for text in _texts(statement.get("NotAction")))
    return list(found)


def _parsed(document: str | None) -> Json:
    """Requests carry the document as JSON, responses URL-encoded."""
    if document is None:
        return None
    try:
        return json.loads(unquote(document) if document.startswith("%") else document)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _each(node: Json) -> list[Json]:
    """One or many, as policies have it."""
    return node if isinstance(node, list) else [node]


def _texts(node: Json) -> Iterator[str]:
    return (item for item in _each(node) if isinstance(item, str))
