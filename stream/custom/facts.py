"""What a custom rule may ask about: the fields of the event, of its key and of what the subject holds.

A field that has no value is "" where it is a text, 0 where it is a number or a time, and empty where it is a
list or a map, so that no expression fails over what an event left out.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import get_type_hints

from keytrail.schemas.records import Event, Key
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.keys.keys import KeyAtEvent

Value = str | int | bool | list[str] | dict[str, str]
About = tuple[Event, KeyAtEvent, SubjectAccess | None]

MOST_CHARACTERS = 10_000
MOST_ITEMS = 200

_NOT_OF_THE_KEY = {"suspensions", "secret_version", "secret_since", "old_secrets_until", "status"}
_ACCESS: dict[str, Callable[[SubjectAccess], Value]] = {
    "roles": lambda access: [name for name, _ in access.held()],
    "permissions": lambda access: sorted({p for _, role in access.held() for p in role.permissions}),
    "team": lambda access: access.team,
}


class TooLargeError(Exception):
    """A field holds more than an expression is given."""


def facts(about: About, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Value]]:
    """The values of these fields.  Raises `TooLargeError` for one beyond the limits."""
    event, key, access = about
    found: dict[str, dict[str, Value]] = {}
    for source, names in wanted.items():
        some = found[source] = {}
        for name in names:
            value: Value | None
            if source == "access":
                value = SAMPLES["access"][name] if access is None else _ACCESS[name](access)
            elif source == "event":
                value = getattr(event, name)
            else:
                value = key.status if name == "status" else getattr(key.key, name, None)
            some[name] = _fitting(SAMPLES[source][name], value)
    return found


def _fitting(sample: Value, value: Value | None) -> Value:
    if value is None:
        return type(sample)()
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            raise TooLargeError
    elif isinstance(value, list | dict):
        texts = value if isinstance(value, list) else value.values()
        if len(value) > MOST_ITEMS or sum(map(len, texts)) > MOST_CHARACTERS:
            raise TooLargeError
    return value


def _samples(record: type, without: set[str]) -> dict[str, Value]:
    """An empty value of each field's type."""
    empty: dict[str, Value] = {}
    for name, hint in get_type_hints(record).items():
        if name not in without:
            text = str(hint)
            kind = next((k for k in (list, dict, bool, int) if k.__name__ in text), str)
            empty[name] = kind()
    return empty


SAMPLES: dict[str, dict[str, Value]] = {
    "event": _samples(Event, set()),
    "key": {"status": "", **_samples(Key, _NOT_OF_THE_KEY)},
    "access": {"roles": [], "permissions": [], "team": ""},
}
