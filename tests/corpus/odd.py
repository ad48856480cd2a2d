"""Records that look wrong and are events all the same."""

import json
import uuid
from typing import Any

from corpus.pieces import EVENT_SCHEMA, Case, Part, Times, datum, long, some, text, until

_NEVER = 253_402_300_799_999_999  # the end of the year 9999


def _odd(
    name: str,
    defect: str,
    *,
    schema: str = "event",
    more: bytes = b"",
    key: Part | None = b"alice",
    **pieces: bytes,
) -> Case:
    # Each has an id of its own: events with the same id count once.
    value = datum(**{"event_id": _id(name), **pieces}) + more
    return Case(name, None, defect, (value,), schema, key)


def _id(name: str) -> bytes:
    return text(str(uuid.uuid5(uuid.NAMESPACE_OID, name)).encode())


def _with(*added: tuple[str, Any], **changed: Any) -> str:
    fields = [
        {"name": field["name"], "type": changed[field["name"]]} if field["name"] in changed else field
        for field in EVENT_SCHEMA["fields"]
    ]
    return json.dumps(
        {**EVENT_SCHEMA, "fields": [*fields, *({"name": n, "type": kind} for n, kind in added)]}
    )


CASES = (
    _odd("key_null", "no key", key=None),
    _odd("key_of_another", "a key that is not the subject", key=bytes(range(256))),
    Case(
        "headers_hostile",
        None,
        "an event under hostile headers",
        (datum(event_id=_id("headers_hostile")),),
        headers=(("", None), ("n" * 300, b"\xff"), ("keytrail-replay-of", b"keytrail.events/0/0")),
    ),
    _odd("text_nul", "NULs in names", subject=some(text(b"ali\0ce")), role=some(text(b"\0"))),
    _odd(
        "text_empty", "names of no characters", service=text(b""), actor_id=text(b""), subject=some(text(b""))
    ),
    _odd("text_controls", "a terminal's commands", role=some(text(b"\x1b[2J\x1b[31madmin\r\n"))),
    _odd("text_directions", "text that runs backwards", subject=some(text("\u202eecila".encode()))),
    _odd("text_astral", "a character beyond the first 65,536", subject=some(text("😀".encode()))),
    _odd("text_noncharacter", "a code point that is no character", subject=some(text("\uffff".encode()))),
    _odd("text_formula", "a spreadsheet's formula", role=some(text(b"=cmd|' /C calc'!A0"))),
    _odd("text_sql", "a statement", subject=some(text(b"'; DROP TABLE events; --"))),
    _odd("action_unknown", "an action that nobody knows", action=text(b"frobnicate")),
    _odd("event_id_upper", "an event id in capitals", event_id=_id("event_id_upper").upper()),
    _odd("number_padded", "a number in more bytes than it takes", sequence=b"\x82" + b"\x80" * 8 + b"\0"),
    _odd("branch_padded", "a union's branch in two bytes", role=b"\x82\0" + text(b"reader")),
    _odd("array_in_blocks", "an array in blocks of one", permissions=(long(1) + text(b"a")) * 3 + b"\0"),
    _odd(
        "array_block_sized",
        "an array's block with its size",
        permissions=long(-1) + long(2) + text(b"a") + b"\0",
    ),
    _odd(
        "map_block_sized",
        "a map's block with its size",
        attributes=long(-1) + long(4) + text(b"a") + text(b"b") + b"\0",
    ),
    _odd("expires_never", "a grant until the end of 9999", expires_at=some(long(_NEVER))),
    _odd("sequence_negative", "a negative sequence", sequence=long(-1)),
    Case(
        "after_large",
        None,
        "a state of 900,000 bytes",
        (
            _id("after_large") + until("after")[len(_id("")) :],
            some(long(900_000)),
            Times(b"x", 900_000),
            b"\0\0\0",
        ),
    ),
    _odd(
        "schema_added_fields",
        "fields that are new",
        schema=_with(("device", "string"), ("risk", "double")),
        more=text(b"laptop") + bytes(8),
    ),
    _odd(
        "schema_required_may_be_null",
        "a field that could be null and is not",
        schema=_with(service=["null", "string"]),
        service=some(text(b"iam")),
    ),
    _odd(
        "schema_optional_is_not",
        "a field that could not be null",
        schema=_with(reason="string"),
        reason=text(b"asked for it"),
    ),
    _odd(
        "schema_union_turned",
        "a union the other way round",
        schema=_with(role=["string", "null"]),
        role=b"\0" + text(b"reader"),
    ),
)
