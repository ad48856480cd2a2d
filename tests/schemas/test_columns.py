"""Columns against the strict reader: they are sure of plain data, and of nothing that it reads otherwise."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas import avro, strict
from keytrail.schemas.columns import NULL, ColumnReader, Columns

_TYPES = st.sampled_from(
    [
        "string",
        "long",
        "int",
        ["null", "string"],
        ["null", "long"],
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "array", "items": "string"},
        {"type": "map", "values": "string"},
        {"type": "enum", "symbols": ["A", "B", "C"]},
    ]
)
_ASCII = st.text(st.characters(max_codepoint=127), max_size=80)
_LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300), st.just(1_780_000_000_000_000))


def _named(kind: Any, number: int) -> Any:
    return {**kind, "name": f"Enum{number}"} if isinstance(kind, dict) and "symbols" in kind else kind


def _value(kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    match kind:
        case "string":
            return text
        case ["null", other]:
            return st.none() | _value(other, text)
        case {"type": "array"}:
            return st.lists(text, max_size=5)
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": "map"}:
            return st.dictionaries(text, text, max_size=3)
        case "int":
            return st.integers(-(2**31), 2**31 - 1)
    return _LONGS


@st.composite
def _datums(draw: st.DrawFn, text: st.SearchStrategy[str] = _ASCII) -> tuple[Any, list[bytes]]:
    """A schema and some datums of it."""
    kinds = draw(st.lists(_TYPES, min_size=1, max_size=6))
    fields = [{"name": f"f{n}", "type": _named(kind, n)} for n, kind in enumerate(kinds)]
    schema = fastavro.parse_schema({"type": "record", "name": "Some", "fields": fields})
    record = st.fixed_dictionaries({f"f{n}": _value(kind, text) for n, kind in enumerate(kinds)})
    datums = []
    for value in draw(st.lists(record, min_size=1, max_size=8)):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, value)
        datums.append(out.getvalue())
    return schema, datums


def _read(schema: Any, datums: list[bytes]) -> Columns:
    reader = strict.column_reader(schema)
    assert reader is not None
    ends = np.cumsum([len(datum) for datum in datums])
    return reader.read(b"".join(datums), np.concatenate(([0], ends[:-1])), ends)


def _assert_row_is(columns: Columns, row: int, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if name in columns.numbers and isinstance(value, str):
            assert columns.numbers[name][row] == "ABC".index(value)
        elif isinstance(value, str):
            start, end = columns.starts[name][row], columns.ends[name][row]
            assert columns.data[start:end].decode() == value
        elif isinstance(value, int):
            assert columns.numbers[name][row] == value
        elif value is None:
            assert columns.starts[name][row] == NULL
        else:
            assert columns.counts[name][row] == len(value)
            texts = [text for item in value.items() for text in item] if isinstance(value, dict) else value
            firsts = [int(first[row]) for first in columns.firsts[name]]
            found = [columns.data[a:b].decode() for a, b in zip(firsts[::2], firsts[1::2], strict=True)]
            assert not value or found == texts[: len(found)]


@given(_datums())
def test_plain_datums_are_read_as_the_strict_reader_reads_them(given: tuple[Any, list[bytes]]) -> None:
    schema, datums = given
    columns, read = _read(schema, datums), strict.datum_reader(schema)
    for row, datum in enumerate(datums):
        values = read(datum, 0)
        huge = any(isinstance(v, int) and not -(2**62) <= v < 2**62 for v in values.values())
        assert columns.sure[row] or huge
        if columns.sure[row]:
            _assert_row_is(columns, row, values)


@given(_datums(st.text(max_size=20)), st.data())
def test_nothing_is_sure_that_the_strict_reader_refuses_or_reads_otherwise(
    given: tuple[Any, list[bytes]], data: st.DataObject
) -> None:
    schema, datums = given
    torn = []
    for datum in datums:
        bytes_ = bytearray(datum)
        for _ in range(data.draw(st.integers(0, 3))):
            what = data.draw(st.sampled_from(["change", "cut", "add"]))
            at = data.draw(st.integers(0, max(len(bytes_) - 1, 0)))
            if what == "change" and bytes_:
                bytes_[at] = data.draw(st.integers(0, 255))
            elif what == "cut":
                del bytes_[at:]
            else:
                bytes_[at:at] = data.draw(st.binary(max_size=12))
        torn.append(bytes(bytes_) or b"\0")
    columns, read = _read(schema, torn), strict.plain_reader(schema)
    for row, datum in enumerate(torn):
        if columns.sure[row]:
            _assert_row_is(columns, row, read(datum, 0))


def _of_one_field(kind: Any) -> Any:
    return fastavro.parse_schema({"type": "record", "name": "Some", "fields": [{"name": "f", "type": kind}]})


def test_texts_beyond_ascii_are_left_to_the_strict_reader() -> None:
    schema = _of_one_field("string")
    assert _read(schema, [b"\x04ab", b"\x04\xc3\xa9", b"\x04\xff\xff"]).sure.tolist() == [True, False, False]


def test_a_name_twice_in_a_map_is_not_sure() -> None:
    schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "Some",
            "fields": [{"name": "f", "type": {"type": "map", "values": "string"}}],
        }
    )
    once, twice = b"\x04\x02a\x02x\x02b\x02y\x00", b"\x04\x02a\x02x\x02a\x02y\x00"
    assert _read(schema, [once, twice]).sure.tolist() == [True, False]


@pytest.mark.parametrize("kind", ["double", {"type": "array", "items": "long"}, ["string", "null"], "bytes"])
def test_other_types_are_not_for_columns(kind: Any) -> None:
    schema = fastavro.parse_schema(
        {"type": "record", "name": "Some", "fields": [{"name": "f", "type": kind}]}
    )
    assert strict.column_reader(schema) is None


def test_the_event_schema_is_for_columns() -> None:
    assert isinstance(strict.column_reader(avro.parse(avro.schema_text("event"))), ColumnReader)
