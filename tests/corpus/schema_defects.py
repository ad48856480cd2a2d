"""Records written with a schema that is wrong, or hostile."""

import json
from typing import Any

from corpus.pieces import EVENT_SCHEMA, Case, Part, Times, datum, long, text

_HUGE = 2**60
Kind = Any  # a type as Avro's JSON spells it


def _with(*added: tuple[str, Kind], **changed: Kind) -> str:
    """The event's schema with other types for some fields, and more fields."""
    fields = [
        {"name": field["name"], "type": changed[field["name"]]} if field["name"] in changed else field
        for field in EVENT_SCHEMA["fields"]
        if changed.get(field["name"], True) is not None
    ]
    fields += [{"name": name, "type": kind} for name, kind in added]
    return json.dumps({**EVENT_SCHEMA, "fields": fields})


def _case(name: str, defect: str, schema: str, *value: Part, **more: Any) -> Case:
    return Case(name, "unusable_schema", defect, value, schema, **more)


def _nested(depth: int, inner: Kind) -> Kind:
    for _ in range(depth):
        inner = {"type": "array", "items": inner}
    return inner


def _laughs(depth: int, width: int) -> Kind:
    """Records in records: a schema of a few hundred bytes that spells out to `width` ** `depth` fields."""
    kind: Kind = {"type": "record", "name": "L0", "fields": [{"name": "f0", "type": "string"}]}
    for level in range(1, depth):
        first = {"name": "f0", "type": kind}
        others = [{"name": f"f{n}", "type": f"keytrail.L{level - 1}"} for n in range(1, width)]
        kind = {"type": "record", "name": f"L{level}", "fields": [first, *others]}
    return kind


def _deep(depth: int) -> str:
    """As `_nested`, deeper than Python's own JSON can write."""
    kind = '{"type": "array", "items": ' * depth + '"string"' + "}" * depth
    return _with(("z", "kind")).replace('"kind"', kind)


_EMPTY = {"type": "record", "name": "Empty", "fields": []}
_LIST = {"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]}
_TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "all", "type": {"type": "array", "items": "Tree"}}],
}
_FOREVER = {"type": "record", "name": "Forever", "fields": [{"name": "again", "type": "Forever"}]}
_ARRAY_OF_NULL = {"type": "array", "items": "null"}

CASES = (
    _case("schema_of_keys", "a key's record", "key", datum()),
    _case("schema_of_enriched", "an enriched event", "enriched", datum()),
    _case("schema_text", "a schema that is no record's", '"string"', text(b"grant")),
    _case(
        "schema_array",
        "an array of events",
        json.dumps({"type": "array", "items": EVENT_SCHEMA}),
        long(1) + datum() + b"\0",
    ),
    _case("schema_without_action", "a schema that lacks a field", _with(action=None), datum(action=b"")),
    _case("schema_id_as_bytes", "an event id of bytes", _with(event_id="bytes"), datum()),
    _case("schema_time_as_int", "a time of 32 bits", _with(occurred_at="int"), datum(occurred_at=long(1))),
    _case(
        "schema_time_as_text", "a time as text", _with(occurred_at="string"), datum(occurred_at=text(b"noon"))
    ),
    _case(
        "schema_action_as_enum",
        "an action that is one of a few",
        _with(action={"type": "enum", "name": "Action", "symbols": ["grant", "revoke"]}),
        datum(action=b"\0"),
    ),
    _case(
        "schema_names_offset",
        "a field by the name of a column of the sink",
        _with(("kafka_offset", "long")),
        datum() + b"\0",
    ),
    _case(
        "schema_names_status",
        "a field by the name of one of the worker",
        _with(("key_status", "string")),
        datum() + text(b"active"),
    ),
    _case(
        "schema_names_inserted",
        "a field by the name of a column with a time",
        _with(("inserted_at", "string")),
        datum() + text(b"noon"),
    ),
    _case(
        "schema_half_a_character",
        "a field whose name UTF-8 cannot hold",
        _with(("kafka_\ud800", "string")),
        datum() + b"\0",
    ),
    _case("nulls", "an array of 2^60 nulls", _with(("z", _ARRAY_OF_NULL)), datum() + long(_HUGE) + b"\0"),
    _case(
        "nulls_in_block",
        "an array's block of -2^60 nulls",
        _with(("z", _ARRAY_OF_NULL)),
        datum() + long(-_HUGE) + b"\0\0",
    ),
    _case(
        "nulls_in_place",
        "permissions that are nulls",
        _with(permissions=_ARRAY_OF_NULL),
        datum(permissions=long(_HUGE) + b"\0"),
    ),
    _case(
        "nulls_nested",
        "arrays of arrays of 10^9 nulls",
        _with(("z", _nested(2, "null"))),
        datum() + long(1_000) + (long(10**9) + b"\0") * 1_000 + b"\0",
    ),
    _case("null_field", "a field that is always null", _with(("z", "null")), datum()),
    _case(
        "empty_records",
        "an array of 2^60 empty records",
        _with(("z", {"type": "array", "items": _EMPTY})),
        datum() + long(_HUGE) + b"\0",
    ),
    _case(
        "fixed_of_nothing",
        "an array of 2^60 times no bytes",
        _with(("z", {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}})),
        datum() + long(_HUGE) + b"\0",
    ),
    _case("list_deep", "a list of 900,000 links", _with(("z", _LIST)), datum(), Times(b"\2", 900_000), b"\0"),
    _case("tree_deep", "a tree 900,000 deep", _with(("z", _TREE)), datum(), Times(b"\2", 900_000), b"\0"),
    _case("forever", "a record that holds itself", _with(("z", _FOREVER)), datum()),
    _case("nested_40", "arrays nested 40 deep", _with(("z", _nested(40, "string"))), datum() + b"\0"),
    _case("nested_300", "arrays nested 300 deep", _with(("z", _nested(300, "string"))), datum() + b"\0"),
    _case("nested_1500", "arrays nested 1,500 deep", _deep(1_500), datum() + b"\0", refused=True),
    _case("laughs", "a schema that spells out to 4^12 fields", _with(("z", _laughs(12, 4))), datum() + b"\0"),
    _case(
        "union_deep",
        "unions within records 40 deep",
        _with(("z", ["null", _nested(40, ["null", "string"])])),
        datum() + b"\0",
    ),
    _case("no_schema_word", "a registry's text that is no schema", "syntax = proto3;", b"\0", refused=True),
    _case("no_schema_number", "a registry's text that is a number", "5", b"\0", refused=True),
    _case("no_schema_half", "an array of what is not said", '{"type": "array"}', b"\0", refused=True),
    _case("no_schema_brackets", "a registry's text of 3,000 brackets", "[" * 3_000, b"\0", refused=True),
    Case(
        "field_null",
        "invalid_event",
        "null for what every event has",
        (datum(service=b"\0"),),
        _with(service=["null", "string"]),
    ),
    Case(
        "field_null_time",
        "invalid_event",
        "null for the time",
        (datum(occurred_at=b"\0"),),
        _with(occurred_at=["null", "long"]),
    ),
    Case(
        "added_text",
        "bad_text",
        "a new field that is not UTF-8",
        (datum() + text(b"\xff"),),
        _with(("device", "string")),
    ),
    Case(
        "added_int",
        "torn_datum",
        "a new field of 32 bits that holds 33",
        (datum() + long(2**32),),
        _with(("floor", "int")),
    ),
    Case(
        "added_truth",
        "torn_datum",
        "a new field that is neither true nor false",
        (datum() + b"\7",),
        _with(("remote", "boolean")),
    ),
    Case(
        "added_symbol",
        "torn_datum",
        "a new field with a symbol that there is not",
        (datum() + long(-1),),
        _with(("risk", {"type": "enum", "name": "Risk", "symbols": ["LOW", "HIGH"]})),
    ),
    Case(
        "added_fixed",
        "torn_datum",
        "a new field of 16 bytes, of which 3 are there",
        (datum() + b"abc",),
        _with(("mac", {"type": "fixed", "name": "Mac", "size": 16})),
    ),
    Case(
        "added_double",
        "torn_datum",
        "a new field of 8 bytes, of which 7 are there",
        (datum() + b"1234567",),
        _with(("score", "double")),
    ),
)
