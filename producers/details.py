"""What may be said about an action besides who did what to whom, and how a caller's values become text.

The functions take any value and never raise: an audit call must not break the service it is
made from, and what it can tell is kept.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from keytrail.producers.clock import to_micros
from keytrail.schemas.records import Micros


class MoreDetails(TypedDict, total=False):
    """Keyword arguments that every method of `AuditTrail` takes; leave out what is not known.

    `actor_type` is human (assumed), service or system; `outcome` is success (assumed), failure
    or denied.  `occurred_at` (now where left out) and `expires_at` are datetimes with a time
    zone.  `before` and `after` are the state around the change, of any type with a JSON form.
    """

    actor_type: str
    key_alias: str | None
    permissions: Iterable[str]
    reason: str | None
    ticket: str | None
    approved_by: str | None
    expires_at: datetime | None
    occurred_at: datetime | None
    outcome: str
    error: str | None
    source_ip: str | None
    user_agent: str | None
    trace_id: str | None
    span_id: str | None
    correlation_id: str | None
    before: object
    after: object
    attributes: Mapping[str, str]


class Details(MoreDetails, total=False):
    """As `MoreDetails`, and what the access is to."""

    resource: str | None


class ContextDetails(Details, total=False):
    """What the surroundings of a call may know: the key's id too, with a proof, and who acts with it."""

    key_id: str | None
    key_claim: str | None
    actor: str | None


def text(value: object) -> str:
    """The value as text; one that cannot be shown is named by its type."""
    if type(value) is str:
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a caller's own __str__ may raise anything
        return _unreadable(value)


def optional_text(value: object) -> str | None:
    return None if value is None else text(value)


def texts(value: object) -> list[str]:
    """A list of texts from any iterable; a single value counts as one."""
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [text(value)]
    try:
        return [text(item) for item in value]
    except Exception:  # noqa: BLE001  # a caller's own iterator may raise anything
        return [_unreadable(value)]


def text_map(value: object) -> dict[str, str]:
    """A copy of a mapping with texts in it; anything else stands under the name `value`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"value": text(value)}
    try:
        return {text(name): text(item) for name, item in value.items()}
    except Exception:  # noqa: BLE001  # a caller's own mapping may raise anything
        return {"value": _unreadable(value)}


def json_text(value: object) -> str | None:
    """The value's JSON form; parts of it that have none stand as text."""
    if value is None:
        return None
    try:
        return json.dumps(value, ensure_ascii=False, default=text)
    except Exception:  # noqa: BLE001  # circular, too deep, or raising by itself
        return json.dumps(_unreadable(value))


def moment(value: object) -> Micros | None:
    """Microseconds since 1970; None for what is no datetime with a time zone."""
    try:
        return to_micros(value) if isinstance(value, datetime) and value.tzinfo is not None else None
    except Exception:  # noqa: BLE001  # a caller's own time zone may raise anything
        return None


def _unreadable(value: object) -> str:
    return f"<unreadable {type(value).__name__}>"
