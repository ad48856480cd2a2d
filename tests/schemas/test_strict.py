"""Strict reading: the same values as fastavro, nothing that Avro has no spelling for, and always an end."""

import io
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas import avro, strict
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event

NAMES = st.text("abcdef", min_size=1, max_size=4)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=200),
    "string": st.text(max_size=200),
}
Typed = tuple[Any, Any]  # a type, and a value of it


@st.composite
def typed(draw: st.DrawFn, depth: int = 3) -> Typed:
    kinds = [*PRIMITIVES, "fixed", "enum"] + (["array", "map", "record", "union"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind in PRIMITIVES:
        return kind, draw(PRIMITIVES[kind])
    name = ""  # `written` gives each type its own
    if kind == "fixed":
        value = draw(st.binary(min_size=1, max_size=20))
        return {"type": "fixed", "name": name, "size": len(value)}, value
    if kind == "enum":
        symbols = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
        return {"type": "enum", "name": name, "symbols": symbols}, draw(st.sampled_from(symbols))
    inner, value = draw(typed(depth - 1))
    times = draw(st.integers(0, 4))
    if kind == "array":
        return {"type": "array", "items": inner}, [value] * times
    if kind == "map":
        return {"type": "map", "values": inner}, {f"k{n}": value for n in range(times)}
    if kind == "union" and not isinstance(inner, list):
        branches = draw(st.permutations(["null", inner]))
        return list(branches), draw(st.sampled_from([None, value]))
    fields = [draw(typed(depth - 1)) for _ in range(draw(st.integers(0, 3)))] + [(inner, value)]
    return (
        {
            "type": "record",
            "name": name,
            "fields": [{"name": f"f{n}", "type": t} for n, (t, _) in enumerate(fields)],
        },
        {f"f{n}": v for n, (_, v) in enumerate(fields)},
    )


def written(kind: Any, value: Any) -> tuple[Any, bytes]:
    numbers = count()

    def named(node: Any) -> Any:
        if isinstance(node, list):
            return [named(item) for item in node]
        if not isinstance(node, dict):
            return node
        own = {"name": f"N{next(numbers)}"} if node.get("name") == "" else {}
        return {name: named(inner) for name, inner in node.items()} | own

    top = {"type": "record", "name": "Top", "fields": [{"name": "f", "type": named(kind)}]}
    schema = avro.parse(json.dumps(top))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, {"f": value})
    return schema, buffer.getvalue()


@given(typed())
def test_what_fastavro_writes_reads_the_same(pair: Typed) -> None:
    schema, datum = written(*pair)
    assert strict.datum_reader(schema)(b"ahead" + datum, 5) == {"f": _as_read(schema, datum)}


@given(typed(), st.data())
def test_damage_reads_as_fastavro_reads_it_or_not_at_all(pair: Typed, data: st.DataObject) -> None:
    schema, datum = written(*pair)
    at = data.draw(st.integers(0, len(datum)))
    damaged = datum[:at] + data.draw(st.binary(max_size=4)) + datum[at + data.draw(st.integers(0, 4)) :]
    try:
        found = strict.datum_reader(schema)(damaged)
    except (strict.TornError, UnicodeDecodeError):
        return
    # Not compared by `==`: damage may make a float that is no number.
    assert repr(found) == repr({"f": _as_read(schema, damaged)})


@given(typed(), st.data())
def test_a_datum_that_ends_early_or_late_is_torn(pair: Typed, data: st.DataObject) -> None:
    schema, datum = written(*pair)
    read = strict.datum_reader(schema)
    with pytest.raises(strict.TornError):
        read(datum[: data.draw(st.integers(0, len(datum) - 1))])
    with pytest.raises(strict.TornError):
        read(datum + b"\0")


def _as_read(schema: Any, datum: bytes) -> Any:
    source = io.BytesIO(datum)
    value = fastavro.schemaless_reader(source, schema, None)
    assert source.tell() == len(datum)
    assert isinstance(value, dict)
    return value["f"]


@pytest.mark.parametrize(
    "kind",
    [
        "null",
        {"type": "array", "items": "null"},
        {"type": "map", "values": "null"},
        {"type": "array", "items": {"type": "record", "name": "E", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}},
        {"type": "fixed", "name": "F", "size": -1},
        {"type": "enum", "name": "E", "symbols": []},
        {"type": "record", "name": "L", "fields": [{"name": "n", "type": ["null", "L"]}]},
        [],
    ],
    ids=str,
)
def test_types_without_bytes_or_end_are_refused(kind: Any) -> None:
    schema = avro.parse(
        json.dumps({"type": "record", "name": "Top", "fields": [{"name": "f", "type": kind}]})
    )
    with pytest.raises(SchemaError) as caught:
        strict.datum_reader(schema)
    assert caught.value.remedy


def test_depth_and_size_of_a_schema_are_bounded() -> None:
    kind: Any = "string"
    for _ in range(strict.MAX_DEPTH):
        kind = {"type": "array", "items": kind}
    with pytest.raises(SchemaError, match="deep"):
        strict.datum_reader(avro.parse(json.dumps({"type": "array", "items": kind})))
    assert strict.datum_reader(avro.parse(json.dumps(kind)))(b"\0") == []
    fields = [{"name": f"f{n}", "type": "string"} for n in range(strict.MAX_TYPES)]
    with pytest.raises(SchemaError, match="types"):
        strict.datum_reader(avro.parse(json.dumps({"type": "record", "name": "Wide", "fields": fields})))


def test_a_named_type_may_be_used_twice() -> None:
    pair = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}]}
    fields = [{"name": "a", "type": pair}, {"name": "b", "type": "P"}]
    schema = avro.parse(json.dumps({"type": "record", "name": "Top", "fields": fields}))
    assert strict.datum_reader(schema)(b"\2\4") == {"a": {"x": 1}, "b": {"x": 2}}


def test_every_committed_schema_can_be_read_by() -> None:
    for name in avro.LATEST:
        strict.datum_reader(avro.parse(avro.schema_text(name)))


EVENT = avro.parse(avro.schema_text("event"))
WHOLE = avro.encoder(EVENT)(
    Event(
        event_id="0192aaaa-bbbb-7ccc-8ddd-eeeeffff0000",
        occurred_at=1_790_000_000_000_000,
        recorded_at=1_790_000_000_000_001,
        service="billing",
        environment="prod",
        actor_id="anna",
        actor_type="human",
        key_id="pk_1",
        key_alias=None,
        action="grant",
        subject="böb",
        role="r" * 70,
        permissions=["a:b", "c:d"],
        expires_at=-1,
        attributes={"team": "core", "x": ""},
        sequence=3,
    )
)


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3), st.integers(0, 3)
)
def test_the_generated_reader_says_what_the_plain_one_says(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(WHOLE)
    for at, byte in changes:
        data[at] = byte
    datum = bytes(data[: len(data) - cut])
    read, plain = strict.datum_reader(EVENT), strict.plain_reader(EVENT)
    assert outcome(lambda: read(datum, 0)) == outcome(lambda: plain(datum, 0))


def outcome(read: Callable[[], Any]) -> object:
    try:
        return read()
    except (strict.TornError, UnicodeDecodeError) as error:
        return type(error), str(error)
