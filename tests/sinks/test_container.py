"""Blocks as Avro files: read back with fastavro, they hold what was put in."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas import avro
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.varint import zigzag
from keytrail.sinks.clickhouse.container import LINEAGE, writer

INCARNATION = "0190b6f0-0000-4000-8000-000000000001"
SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "name", "type": ["null", "string"], "default": None},
            {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
            {"name": "raw", "type": "bytes", "default": ""},
        ],
    }
)
LONG = st.integers(-(2**63), 2**63 - 1)


def datum(record: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, avro.parse(SCHEMA), record)
    return buffer.getvalue()


@given(LONG)
def test_zigzag_is_avros_long(number: int) -> None:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, "long", number)
    assert zigzag(number) == buffer.getvalue()


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**62),
            st.fixed_dictionaries(
                {
                    "name": st.none() | st.text(),
                    "tags": st.dictionaries(st.text(), st.text(), max_size=3),
                    "raw": st.binary(),
                }
            ),
        ),
        min_size=1,
        max_size=20,
    ),
    partition=st.integers(0, 2**31 - 1),
    block=st.integers(0, 2**62),
)
def test_a_block_reads_back_with_its_lineage(
    rows: list[tuple[int, dict[str, Any]]], partition: int, block: int
) -> None:
    pieces = writer(SCHEMA).wrap(
        [offset for offset, _ in rows],
        [datum(record) for _, record in rows],
        partition=partition,
        block=block,
        incarnation=INCARNATION,
    )
    found = list(fastavro.reader(io.BytesIO(b"".join(pieces))))
    assert found == [
        {**record, **dict(zip(LINEAGE, (offset, partition, block, INCARNATION), strict=True))}
        for offset, record in rows
    ]


def test_columns_are_the_writers_fields() -> None:
    assert writer(SCHEMA).columns == ("name", "tags", "raw")


@pytest.mark.parametrize("name", ["enriched", "anomaly", "key", "deadletter"])
def test_committed_schemas_can_be_wrapped(name: str) -> None:
    assert writer(avro.schema_text(name)).columns


@pytest.mark.parametrize(
    "schema",
    [
        '"string"',
        '{"type": "enum", "name": "E", "symbols": ["A"]}',
        '{"type": "record", "name": "R", "fields": [{"name": "kafka_offset", "type": "long"}]}',
    ],
)
def test_other_schemas_are_refused(schema: str) -> None:
    with pytest.raises(SchemaError):
        writer(schema)
