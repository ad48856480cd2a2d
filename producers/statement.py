"""From what a caller says to an event's values: everything becomes text or time, and secrets are hidden."""

from collections.abc import Callable, Mapping
from typing import Any

from keytrail.producers.details import json_text, moment, text, text_map, texts
from keytrail.producers.redaction import Redaction
from keytrail.schemas.records import Event

UNREADABLE = "keytrail.unreadable"
# Beyond this nothing is sent of a text, so that nothing more is looked at.
_MOST_CHARACTERS = 1_000_000

_PLAIN = {
    *("actor_type", "key_alias", "approved_by", "outcome"),
    *("source_ip", "trace_id", "span_id", "correlation_id"),
}
_FREE = {"reason", "ticket", "resource", "error", "user_agent"}
_JSON = {"before", "after"}
_TIMES = {"occurred_at", "expires_at"}


def values_of(said: Mapping[str, object], redaction: Redaction) -> dict[str, Any]:
    """The values that were given, by the names of `Event`'s fields; None is left out.

    A time that is none is named in the attribute `keytrail.unreadable`; what has a name of its own
    becomes an attribute.  Never raises.
    """
    values: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    unreadable: list[str] = []
    for name, value in said.items():
        if value is None:
            continue
        if name in _PLAIN:
            values[name] = value if type(value) is str else text(value)
        elif name in _FREE:
            values[name] = redaction.text(
                name, (value if type(value) is str else text(value))[:_MOST_CHARACTERS]
            )
        elif name in _TIMES:
            if (read := moment(value)) is None:
                unreadable.append(name)
            else:
                values[name] = read
        elif name in _JSON:
            values[name] = redaction.json(name, (json_text(value) or "")[:_MOST_CHARACTERS])
        elif name == "permissions":
            values[name] = texts(value)
        elif name == "attributes":
            attributes.update(redaction.map(name, text_map(value)))
        elif name == UNREADABLE:
            unreadable.append(text(value))
        else:
            attributes[name] = redaction.named("attributes", name, text(value))
    if unreadable:
        attributes[UNREADABLE] = ",".join(sorted(unreadable, key=lambda name: (name != "occurred_at", name)))
    if attributes:
        values["attributes"] = attributes
    return values


def without_tokens(values: Mapping[str, Any], hidden: Callable[[str], str]) -> dict[str, Any]:
    """The values with `hidden` applied to every text, wherever it stands."""
    clean: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str):
            clean[name] = hidden(value)
        elif isinstance(value, list):
            clean[name] = [hidden(item) for item in value]
        elif isinstance(value, dict):
            clean[name] = {hidden(key): hidden(item) for key, item in value.items()}
        else:
            clean[name] = value
    return clean


def event_of(values: Mapping[str, Any], constants: Mapping[str, Any]) -> Event:
    """The event, but for its number."""
    given = {"environment": None, "key_id": None, "key_alias": None, "subject": None}
    return Event(**{**given, **constants, **values})
