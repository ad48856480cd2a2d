"""How the gateway understands SQL: where an INSERT's rows begin, and where a result's format stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.deploy.embedded.gateway.errors import EngineError
from keytrail.deploy.embedded.gateway.lexer import tokens
from keytrail.deploy.embedded.gateway.statement import Insert, InsertThroughInput, find_insert, read_query


def insert_of(text: bytes) -> Insert:
    found = find_insert(text)
    assert isinstance(found, Insert)
    return found


@pytest.mark.parametrize(
    ("text", "format_name", "rows"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", "CSV", b"1,2\n"),
        (b"insert into t format CSV 1,2", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT RowBinary\n\n\x00", "RowBinary", b"\n\x00"),
        (b"INSERT INTO t FORMAT TSV\r\n1\n", "TSV", b"1\n"),
        (b"INSERT INTO t VALUES (1, 'FORMAT CSV')", "Values", b" (1, 'FORMAT CSV')"),
        (b"INSERT INTO TABLE d.`FORMAT` (a, `b`) FORMAT Native\n\x01", "Native", b"\x01"),
        (b"INSERT INTO format FORMAT CSV\n1", "CSV", b"1"),
        (b"INSERT INTO db.values (a) VALUES(1)", "Values", b"(1)"),
        (b"INSERT INTO FUNCTION file('x', 'CSV', 'a Int8') FORMAT TSV\n1", "TSV", b"1"),
        (b"/* FORMAT a */ INSERT -- FORMAT b\nINTO t # FORMAT c\n FORMAT Avro\nObj", "Avro", b"Obj"),
        (b"INSERT INTO {t:Identifier} FORMAT CSV\n1", "CSV", b"1"),
        (b"INSERT INTO t FORMAT CSV", "CSV", b""),
    ],
)
def test_rows_of_an_insert_begin_behind_its_format(text: bytes, format_name: str, rows: bytes) -> None:
    found = insert_of(text)
    assert found.format == format_name
    assert text[found.data_start :] == rows


def test_settings_stay_between_the_file_and_the_format() -> None:
    found = insert_of(b"INSERT INTO t (a) SETTINGS async_insert=0, x='FORMAT' FORMAT CSV\n1")
    assert found.reading("/f").splitlines() == [
        b"INSERT INTO t (a) ",
        b"FROM INFILE '/f' COMPRESSION 'none'",
        b"SETTINGS async_insert=0, x='FORMAT' ",
        b"FORMAT CSV",
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT * FROM format FORMAT CSV",
        b"INSERT INTO t SELECT input FROM values",
        b"EXPLAIN INSERT INTO t FORMAT CSV",
        b"INSERT INTO t FORMAT",
        b"INSERT INTO t (a",
        b"",
    ],
)
def test_other_statements_have_no_rows(text: bytes) -> None:
    assert find_insert(text) is None


def test_rows_through_input_come_from_the_file() -> None:
    text = b"INSERT INTO t SELECT a + 1 FROM input('a Int8') WHERE a > 0 FORMAT CSV\n1\n"
    found = find_insert(text)
    assert isinstance(found, InsertThroughInput)
    assert text[found.data_start :] == b"1\n"
    assert found.reading("/f") == b"INSERT INTO t SELECT a + 1 FROM file('/f', 'CSV', 'a Int8') WHERE a > 0 "


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString",
        b"INSERT INTO t SELECT * FROM input(x) FORMAT CSV",
        b"INSERT INTO t SELECT * FROM input('a Int8')",
    ],
)
def test_inserts_that_cannot_be_served_are_refused(text: bytes) -> None:
    with pytest.raises(EngineError):
        find_insert(text)


@pytest.mark.parametrize(
    ("text", "body", "format_name", "tail"),
    [
        (b"SELECT 1", b"SELECT 1", "", b""),
        (b"SELECT 1 ; ", b"SELECT 1", "", b""),
        (b"SELECT 1 FORMAT JSON;", b"SELECT 1", "JSON", b""),
        (b"select 1 format JSON settings a = 1", b"select 1", "JSON", b" settings a = 1"),
        (b"SELECT format, 'FORMAT x' FROM t -- FORMAT y", b"SELECT format, 'FORMAT x' FROM t", "", b""),
        (b"SELECT (SELECT 1 FORMAT CSV)", b"SELECT (SELECT 1 FORMAT CSV)", "", b""),
        (b"SELECT $$ FORMAT x ; $$ FORMAT TSV", b"SELECT $$ FORMAT x ; $$", "TSV", b""),
    ],
)
def test_format_clause_of_a_query(text: bytes, body: bytes, format_name: str, tail: bytes) -> None:
    query = read_query(text)
    assert (query.body, query.format, query.tail) == (body, format_name, tail)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", 62),
        (b" ;; -- nothing", 62),
        (b"SELECT 1; DROP TABLE t", 62),
        (b"SELECT 1 INTO OUTFILE '/tmp/x'", 358),
    ],
)
def test_texts_that_are_refused(text: bytes, code: int) -> None:
    with pytest.raises(EngineError) as caught:
        read_query(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "selects", "has_result"),
    [
        (b"SELECT 1", True, True),
        (b"(SELECT 1) UNION ALL (SELECT 2)", True, True),
        (b"WITH 1 AS x SELECT x", True, True),
        (b"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", False, False),
        (b"SHOW TABLES", False, True),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", False, False),
    ],
)
def test_what_has_a_result(text: bytes, selects: bool, has_result: bool) -> None:
    query = read_query(text)
    assert (query.selects, query.has_result) == (selects, has_result)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_failure_and_tokens_do_not_overlap(text: bytes) -> None:
    end = 0
    for token in tokens(text):
        assert end <= token.start < token.end <= len(text)
        end = token.end


@given(st.binary(max_size=200), st.sampled_from(["Native", "Avro", "RowBinary"]))
def test_binary_rows_are_never_touched(rows: bytes, format_name: str) -> None:
    text = b"INSERT INTO t (a, b) FORMAT " + format_name.encode() + b"\n" + rows
    found = insert_of(text)
    assert (found.format, text[found.data_start :]) == (format_name, rows)
