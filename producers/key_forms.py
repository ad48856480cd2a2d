"""Keys as people write them down: one row of a CSV file or one JSON object a key."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from ipaddress import ip_network

from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import UsageError
from keytrail.schemas.hours import parse_hours
from keytrail.schemas.records import Key, Micros

_LISTS = tuple(
    field.name for field in fields(Key) if field.name.startswith("scope_") and field.name != "scope_hours"
)
_TEXTS = ("key_id", "owner", "kind", "team", "scope_hours", "predecessor", "successor", "parent_key")
_TIMES = ("issued_at", "expires_at")
_KNOWN = {*_TEXTS, *_LISTS, *_TIMES, "aliases", "labels", "break_glass"}
Row = Mapping[str, object]


def words(given: Iterable[str]) -> list[str]:
    """`["a, b", "c"]` as `["a", "b", "c"]`."""
    return [word.strip() for item in given for word in item.split(",") if word.strip()]


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """One a line below the header; in a cell `;` separates several values.  Raises `UsageError`."""
    try:
        for row in csv.DictReader(lines, strict=True):
            if None in row:
                raise UsageError("It has more cells than the header.", "Quote cells that hold a comma.")
            yield {name: text for name, text in row.items() if text}
    except csv.Error as error:
        raise UsageError(f"It is not CSV ({error}).", "Correct the file.") from error


def json_rows(lines: Iterable[str]) -> Iterator[Row]:
    """One a line; empty lines are left out.  Raises `UsageError`."""
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError("It is not JSON.", "Write one object a line.") from error
        if not isinstance(row, dict):
            raise UsageError("It is not a JSON object.", "Write one object a line.")
        yield row


def key_of(row: Row, *, by: str, reason: str, now: Micros, moment: Callable[[str, Micros], Micros]) -> Key:
    """The key that a row describes.  `moment` reads times.  Raises `UsageError` for what is none."""
    if unknown := sorted(row.keys() - _KNOWN):
        raise UsageError(f"{unknown[0]!r} is no field of a key.", f"Known are: {', '.join(sorted(_KNOWN))}.")
    texts = {name: _text(name, row.get(name)) for name in _TEXTS}
    for name in ("owner", "kind"):
        if not texts[name]:
            raise UsageError(f"It has no {name}.", "Each key needs an owner and a kind.")
    times = {
        name: None if (text := _text(name, row.get(name))) is None else moment(text, now) for name in _TIMES
    }
    key = Key(
        key_id=texts["key_id"] or f"key-{UuidV7()()}",
        version=1,
        kind=texts["kind"] or "",
        owner=texts["owner"] or "",
        team=texts["team"],
        status="active",
        issued_at=now if times["issued_at"] is None else times["issued_at"],
        expires_at=times["expires_at"],
        **{name: _list(name, row.get(name)) for name in _LISTS},  # type: ignore[arg-type]
        scope_hours=texts["scope_hours"],
        break_glass=_flag(row.get("break_glass")),
        predecessor=texts["predecessor"],
        successor=texts["successor"],
        parent_key=texts["parent_key"],
        aliases=_list("aliases", row.get("aliases")),
        labels=_labels(row.get("labels")),
        changed_by=by,
        reason=reason,
        changed_at=now,
    )
    return checked(key, now)


def checked(key: Key, now: Micros) -> Key:
    """The key.  Raises `UsageError` for one that could not work."""
    if key.kind not in ("human", "service"):
        raise UsageError(f"{key.kind!r} is no kind of key.", "Write human or service.")
    for network in key.scope_networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise UsageError(f"{network!r} is not a network.", "Write it as 10.0.0.0/8.") from error
    if key.scope_hours:
        parse_hours(key.scope_hours)
    if key.expires_at is not None and key.expires_at <= now:
        raise UsageError("The key would be expired from the start.", "Give it a later end.")
    return key


def same_rights(one: Key, other: Key) -> bool:
    """True where two records say the same of whose key it is and what it may do."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in (
            "key_id",
            "owner",
            "kind",
            "team",
            *_LISTS,
            "scope_hours",
            "break_glass",
            "aliases",
            "labels",
        )
    )


def _text(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise UsageError(f"{name} is no text.", "Write it in quotes.")


def _list(name: str, value: object) -> list[str]:
    match value:
        case None:
            return []
        case str():
            return [word.strip() for word in value.split(";") if word.strip()]
        case list() if all(isinstance(item, str) for item in value):
            return value
    raise UsageError(f"{name} is no list of texts.", 'Write it as ["a", "b"], in CSV as a;b.')


def _labels(value: object) -> dict[str, str]:
    match value:
        case dict() if all(isinstance(text, str) for text in value.values()):
            return value
        case None | str():
            pairs = [pair.partition("=") for pair in _list("labels", value)]
            if all(name and mark for name, mark, _ in pairs):
                return {name: text for name, _, text in pairs}
    raise UsageError("labels is no list of names and texts.", 'Write it as {"a": "b"}, in CSV as a=b;c=d.')


def _flag(value: object) -> bool:
    match value:
        case None | False | "false" | "no" | "0":
            return False
        case True | "true" | "yes" | "1":
            return True
    raise UsageError("break_glass is neither true nor false.", "Write true or false.")
