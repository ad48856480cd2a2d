"""Made-up events and JSON for property tests, hostile ones included."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from keytrail.schemas.records import Event

# Lone surrogates included: JSON and command lines can hold them, UTF-8 cannot.
any_text = st.text(st.characters(), max_size=20)
clean_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
longs = st.integers(-(1 << 63), (1 << 63) - 1)


def _field(kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if kind is str:
        return text
    if kind == str | None:
        return st.none() | text
    if kind == list[str]:
        return st.lists(text, max_size=4)
    if kind == dict[str, str]:
        return st.dictionaries(text, text, max_size=4)
    return st.none() | longs if kind not in (int,) and "None" in str(kind) else longs


def events(text: st.SearchStrategy[str] = clean_text) -> st.SearchStrategy[Event]:
    return st.builds(Event, **{field.name: _field(field.type, text) for field in fields(Event)})


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
