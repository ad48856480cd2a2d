"""Inserts and results in ClickHouse's formats, compressed or not, with any text in them."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from gateway_process import GatewayProcess, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TABLE = "CREATE OR REPLACE TABLE t (a Int64, s String) ENGINE = MergeTree ORDER BY a"
ROWS = [{"a": 1, "s": "one"}, {"a": 2, "s": "a\tb\n\"'\\"}]
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "long"}, {"name": "s", "type": "string"}],
    }
)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running(tmp_path_factory.mktemp("data")) as process:
        yield process


@pytest.fixture(autouse=True)
def table(gateway: GatewayProcess) -> None:
    gateway.sql(TABLE)


def avro_block(rows: list[dict[str, Any]], schema: Any = SCHEMA) -> bytes:
    """An Avro file with one block, as the sink makes it."""
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, sync_interval=1 << 40)
    return out.getvalue()


def arrow_stream(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def row_binary(rows: list[dict[str, Any]]) -> bytes:
    out = b""
    for row in rows:
        text = row["s"].encode()
        out += row["a"].to_bytes(8, "little", signed=True) + bytes([len(text)]) + text
    return out


INSERTS: dict[str, bytes] = {
    "JSONEachRow": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "CSV": b'1,one\n2,"a\tb\n""\'\\"\n',
    "TabSeparated": b"1\tone\n2\ta\\tb\\n\"'\\\\\n",
    "Values": b"(1, 'one'), (2, 'a\\tb\\n\"\\'\\\\')",
    "RowBinary": row_binary(ROWS),
    "Avro": avro_block(ROWS),
    "ArrowStream": arrow_stream(ROWS),
    "Parquet": parquet(ROWS),
}


def stored(gateway: GatewayProcess) -> list[dict[str, Any]]:
    lines = gateway.sql(
        "SELECT * FROM t ORDER BY a FORMAT JSONEachRow", output_format_json_quote_64bit_integers="0"
    )
    return [json.loads(line) for line in lines.split("\n") if line]


@pytest.mark.parametrize("format_name", INSERTS)
@pytest.mark.parametrize("query_in", ["url", "body"])
def test_insert(gateway: GatewayProcess, format_name: str, query_in: str) -> None:
    query, data = f"INSERT INTO t (a, s) FORMAT {format_name}", INSERTS[format_name]
    if query_in == "url":
        reply = gateway.send(query, data)
    else:
        reply = gateway.send("", query.encode() + b"\n" + data)
    assert (reply.status, reply.text) == (200, "")
    assert json.loads(reply.headers["x-clickhouse-summary"])["written_rows"] == "2"
    assert stored(gateway) == ROWS


@pytest.mark.parametrize("coding", PACK)
def test_compressed_insert(gateway: GatewayProcess, coding: str) -> None:
    lines = b"".join(b"%d\ttext %d\n" % (n, n) for n in range(50_000))
    packed = PACK[coding](lines)
    assert (
        gateway.send("INSERT INTO t FORMAT TSV", packed, headers={"Content-Encoding": coding}).status == 200
    )
    whole = PACK[coding](b"INSERT INTO t FORMAT TSV\n" + lines)
    assert gateway.send("", whole, headers={"Content-Encoding": coding}).status == 200
    assert gateway.sql("SELECT count(), uniqExact(a), max(s) FROM t") == "100000\t50000\ttext 9999\n"


@pytest.mark.parametrize("coding", PACK)
def test_a_compressed_insert_that_breaks_off_inserts_nothing(gateway: GatewayProcess, coding: str) -> None:
    packed = PACK[coding](b"".join(b"%d\ttext %d\n" % (n, n * n) for n in range(50_000)))
    reply = gateway.send("INSERT INTO t FORMAT TSV", packed[:-9], headers={"Content-Encoding": coding})
    assert reply.status == 500
    assert "ends in the middle" in reply.text
    assert gateway.sql("SELECT count() FROM t") == "0\n"


@pytest.mark.parametrize("coding", UNPACK)
@pytest.mark.parametrize("wait", ["0", "1"])
def test_compressed_result(gateway: GatewayProcess, coding: str, wait: str) -> None:
    reply = gateway.send(
        "SELECT number FROM numbers(400000)",
        headers={"Accept-Encoding": coding},
        enable_http_compression="1",
        wait_end_of_query=wait,
    )
    assert reply.headers["content-encoding"] == coding
    assert UNPACK[coding](reply.body) == b"".join(b"%d\n" % n for n in range(400_000))


def test_compression_can_be_declined(gateway: GatewayProcess) -> None:
    reply = gateway.send("SELECT 1", headers={"Accept-Encoding": "gzip"}, enable_http_compression="0")
    assert reply.body == b"1\n"


@pytest.mark.parametrize(
    ("format_name", "content_type"),
    [
        ("JSON", "application/json; charset=UTF-8"),
        ("JSONCompactEachRow", "application/json; charset=UTF-8"),
        ("CSVWithNames", "text/csv; charset=UTF-8"),
        ("TabSeparatedWithNamesAndTypes", "text/tab-separated-values; charset=UTF-8"),
        ("Parquet", "application/octet-stream"),
        ("ArrowStream", "application/octet-stream"),
        ("Native", "application/octet-stream"),
        ("XML", "application/xml; charset=UTF-8"),
        ("PrettyCompact", "text/plain; charset=UTF-8"),
    ],
)
def test_a_result_is_one_document(gateway: GatewayProcess, format_name: str, content_type: str) -> None:
    """The engine makes blocks of rows; the head and foot of a format must still come once."""
    rows = "SELECT toInt64(number) AS a, toString(number) AS s FROM numbers(1000)"
    reply = gateway.send(rows, default_format=format_name, max_block_size="100", max_threads="1")
    assert reply.headers["x-clickhouse-format"] == format_name
    assert reply.headers["content-type"] == content_type
    if format_name == "JSON":
        assert json.loads(reply.text)["rows"] == 1000
    elif format_name == "CSVWithNames":
        assert reply.text.startswith('"a","s"\n0,"0"\n')
        assert reply.text.count('"a"') == 1
    elif format_name == "Parquet":
        assert pq.read_table(io.BytesIO(reply.body)).num_rows == 1000
    elif format_name == "ArrowStream":
        assert pa.ipc.open_stream(reply.body).read_all().num_rows == 1000
    gateway.sql("TRUNCATE TABLE t")
    if format_name not in {"XML", "PrettyCompact"}:
        assert gateway.send(f"INSERT INTO t FORMAT {format_name}", reply.body).status == 200
        assert gateway.sql("SELECT count(), sum(a) FROM t") == "1000\t499500\n"


def test_rows_through_input(gateway: GatewayProcess) -> None:
    query = "INSERT INTO t SELECT a * 10, upper(s) FROM input('a Int64, s String') FORMAT CSV"
    assert gateway.send(query, b"1,x\n2,y\n").status == 200
    assert stored(gateway) == [{"a": 10, "s": "X"}, {"a": 20, "s": "Y"}]


def test_query_parameters_in_an_insert(gateway: GatewayProcess) -> None:
    query = "INSERT INTO {table:Identifier} (a, s) VALUES (3, {text:String})"
    assert gateway.send("", query.encode(), param_table="t", param_text="it\\'s").status == 200
    assert stored(gateway) == [{"a": 3, "s": "it's"}]


@pytest.mark.parametrize(
    ("format_name", "data", "code"),
    [
        ("CSV", b"x,y\n", 27),
        ("Avro", b"no avro at all", 1001),
        ("RowBinary", b"\x01", 33),
        ("NoSuchFormat", b"", 73),
    ],
)
def test_bad_rows_are_refused_whole(
    gateway: GatewayProcess, format_name: str, data: bytes, code: int
) -> None:
    reply = gateway.send(f"INSERT INTO t FORMAT {format_name}", data)
    assert reply.status >= 400
    assert reply.headers["x-clickhouse-exception-code"] == str(code)
    assert reply.text.startswith(f"Code: {code}.")
    assert "/dev/fd" not in reply.text
    assert gateway.sql("SELECT count() FROM t") == "0\n"


def test_a_wide_avro_block(gateway: GatewayProcess) -> None:
    names = [f"c{n}" for n in range(14)]
    gateway.sql(
        f"CREATE OR REPLACE TABLE wide (n Int64, {', '.join(f'{name} String' for name in names)}) "
        "ENGINE = MergeTree ORDER BY n"
    )
    fields = [{"name": "n", "type": "long"}, *({"name": name, "type": "string"} for name in names)]
    schema = fastavro.parse_schema({"type": "record", "name": "Wide", "fields": fields})
    rows = [{"n": n, **{name: f"{name}-{n}" for name in names}} for n in range(20_000)]
    assert gateway.send("INSERT INTO wide FORMAT Avro", avro_block(rows, schema)).status == 200
    assert gateway.sql("SELECT count(), sum(n), uniqExact(c13) FROM wide") == "20000\t199990000\t20000\n"


hostile = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "'",
        '"',
        "\\",
        "\\N",
        "\0",
        "\t\r\n",
        "😀🏴‍☠️",
        "'; DROP TABLE t; --",
        "{x:String}",
        "\\x00\\u0000",
        "-- ",
        "/*",
        "%00&x=1",
    ]
)


def escaped(text: str) -> str:
    """As a client escapes the value of a query parameter."""
    for plain, code in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, code)
    return text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=hostile)
def test_any_text_comes_back_through_a_parameter(gateway: GatewayProcess, text: str) -> None:
    reply = gateway.send(b"SELECT {x:String} FORMAT RowBinary", param_x=escaped(text))
    assert reply.status == 200, reply.text
    assert reply.body[-len(text.encode()) :] == text.encode() or not text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(hostile, min_size=1, max_size=20))
def test_any_text_comes_back_through_an_insert(gateway: GatewayProcess, texts: list[str]) -> None:
    gateway.sql("TRUNCATE TABLE t")
    rows = [{"a": index, "s": text} for index, text in enumerate(texts)]
    half = len(rows) // 2
    assert gateway.send("INSERT INTO t FORMAT Avro", avro_block(rows[:half])).status == 200
    lines = "\n".join(json.dumps(row) for row in rows[half:])
    assert gateway.send("", b"INSERT INTO t FORMAT JSONEachRow\n" + lines.encode()).status == 200
    assert stored(gateway) == rows
