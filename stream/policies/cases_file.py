"""The file of cases that test a policy, read as a policy file is: each problem with its line."""

from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from keytrail.schemas.records import Event, Key, Micros
from keytrail.stream.policies.cases import Case, Expected
from keytrail.stream.policies.composites import Field, Record, Several, Texts
from keytrail.stream.policies.custom_shapes import RuleName
from keytrail.stream.policies.file import parse, text_of
from keytrail.stream.policies.shapes import Flag, Moment, OneOf, Only, Shape, Text, Whole

VERSION = 1
_MOST_TIMES = 10_000


def read_cases(path: Path) -> tuple[Case, ...]:
    """Raises `PolicyError` with everything that is wrong with the file."""
    found = parse(text_of(path), str(path), _FORM)
    return tuple(case for case in found if isinstance(case, Case)) if isinstance(found, tuple) else ()


def _shapes(record: type, chosen: dict[str, Shape], leave_out: Sequence[str]) -> dict[str, Field]:
    """A field for each of the record's: a text unless another shape is chosen."""
    text = Text("a text", "payments")
    return {
        field.name: Field(chosen.get(field.name, text), "")
        for field in fields(record)
        if field.name not in leave_out
    }


_MOMENT = Moment()
_LIST = Several(Text("a text", "payments"))
_MADE = ("event_id", "recorded_at", "producer_id", "sequence", "before", "after", "error")


# What matters to no rule.
_SOME_EVENT = Event("", 0, 0, "some-service", None, "somebody", "human", None, None, "use", None)
_SOME_KEY = Key("", 1, "human", "somebody", None, "active", 0)


def _events(times: int = 1, **given: Any) -> tuple[Event, ...]:
    """The event as often as it happens, a second apart."""
    first = replace(_SOME_EVENT, **_with_lists(given))
    moments = (Micros(first.occurred_at + n * 1_000_000) for n in range(times))
    return tuple(replace(first, occurred_at=at, recorded_at=at) for at in moments)


def _key(**given: Any) -> Key:
    return replace(_SOME_KEY, **_with_lists(given))


def _with_lists(given: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _case(name: str, events: Sequence[Sequence[Event]], **others: Any) -> Case:
    every = [event for some in events for event in some]
    numbered = (replace(event, event_id=str(UUID(int=n, version=4))) for n, event in enumerate(every, 1))
    return Case(name, tuple(numbered), **others)


def _required(shapes: dict[str, Field], *names: str) -> dict[str, Field]:
    return {**shapes, **{name: replace(shapes[name], required=True) for name in names}}


_EVENT = Record(
    _events,
    {
        **_required(
            _shapes(
                Event,
                {
                    "occurred_at": _MOMENT,
                    "expires_at": _MOMENT,
                    "permissions": _LIST,
                    "attributes": Texts(),
                    "actor_type": OneOf(("human", "service", "system")),
                    "outcome": OneOf(("success", "failure", "denied")),
                },
                _MADE,
            ),
            "occurred_at",
            "action",
        ),
        "times": Field(Whole(1, _MOST_TIMES), "How often, a second apart."),
    },
)
_KEY_TIMES = ("issued_at", "expires_at", "rotated_at", "suspended_at", "revoked_at")
_KEY_LISTS = ("scope_actions", "scope_roles", "scope_resources", "scope_environments", "scope_networks")
_KEY = Record(
    _key,
    _required(
        _shapes(
            Key,
            {
                **dict.fromkeys(_KEY_TIMES, _MOMENT),
                **dict.fromkeys((*_KEY_LISTS, "aliases"), _LIST),
                "kind": OneOf(("human", "service")),
                "break_glass": Flag(),
                "labels": Texts(),
            },
            ("version", "status", "suspensions", "secret_version", "secret_since", "old_secrets_until"),
        ),
        "key_id",
    ),
)
_EXPECTED = Record(
    Expected,
    {
        "rule": Field(RuleName(), "", True),
        "entity": Field(Text("an entity", "alice"), "", True),
        "cause": Field(Text("a cause", "reader"), ""),
        "status": Field(OneOf(("open", "suppressed", "resolved")), ""),
    },
)


def _cases(version: int, cases: tuple[Case, ...]) -> tuple[Case, ...]:  # noqa: ARG001  # only the form has one
    return cases


_FORM = Record(
    _cases,
    {
        "version": Field(Only(VERSION), "", True),
        "cases": Field(
            Several(
                Record(
                    _case,
                    {
                        "name": Field(Text("a name", "a grant to oneself"), "", True),
                        "keys": Field(Several(_KEY, name_of=attrgetter("key_id")), ""),
                        "events": Field(Several(_EVENT, 1, name_of=id), "", True),
                        "finds": Field(Several(_EXPECTED), ""),
                    },
                ),
                1,
                name_of=attrgetter("name"),
            ),
            "",
            True,
        ),
    },
)
