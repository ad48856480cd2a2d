"""clickhouse-connect with its default options talks to the gateway as to a server."""

from collections.abc import Iterator
from datetime import UTC, datetime

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from gateway_process import GatewayProcess, running

ROWS = [
    (
        1,
        'it\'s "q" \\ \t\n\0',
        datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC),
        None,
        ["a", "b'"],
        {"k": "v"},
    ),
    (2, "émoji 😀 \u202e", datetime(1999, 1, 1, tzinfo=UTC), -7, [], {}),
]
COLUMNS = ["id", "name", "at", "maybe", "list", "map"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running(tmp_path_factory.mktemp("data")) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[Client]:
    with clickhouse_connect.get_client(host="127.0.0.1", port=gateway.port, tz_mode="aware") as made:
        made.command("DROP DATABASE IF EXISTS people")
        made.command("CREATE DATABASE people")
        made.command(
            "CREATE TABLE people.t (id UInt64, name String, at DateTime64(6, 'UTC'), maybe Nullable(Int32), "
            "list Array(LowCardinality(String)), map Map(String, String)) ENGINE = MergeTree ORDER BY id"
        )
        yield made


def test_rows_come_back_as_they_went(client: Client) -> None:
    summary = client.insert("people.t", ROWS, column_names=COLUMNS)
    assert summary.written_rows == 2
    result = client.query("SELECT * FROM people.t ORDER BY id")
    assert result.column_names == tuple(COLUMNS)
    assert [tuple(row) for row in result.result_rows] == ROWS
    assert int(result.summary["read_rows"]) == 2


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_every_compression_of_the_client(
    gateway: GatewayProcess, client: Client, compress: str | bool
) -> None:
    with clickhouse_connect.get_client(host="127.0.0.1", port=gateway.port, compress=compress) as other:
        other.insert("people.t", [(n, "x" * 50) for n in range(5000)], column_names=["id", "name"])
        result = other.query("SELECT id, name FROM people.t ORDER BY id")
        assert result.result_rows[4999] == (4999, "x" * 50)


def test_parameters_are_bound_by_the_engine(client: Client) -> None:
    query = "SELECT {s:String}, {n:Array(Int32)}, {d:DateTime64(6, 'UTC')}, {none:Nullable(String)}"
    moment = datetime(2024, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
    asked = {"s": "'; DROP TABLE t; --", "n": [1, -2], "d": moment, "none": None}
    assert client.query(query, parameters=asked).result_rows == [
        ("'; DROP TABLE t; --", [1, -2], moment, None)
    ]


def test_parameters_too_long_for_a_url_come_as_a_form(client: Client) -> None:
    names = [f"name-{n}-'\\" for n in range(2000)]
    result = client.query("SELECT length({names:Array(String)}), {names:Array(String)}[-1]", {"names": names})
    assert result.result_rows == [(2000, "name-1999-'\\")]


def test_a_table_can_come_with_the_query(client: Client) -> None:
    client.insert("people.t", ROWS, column_names=COLUMNS)
    wanted = ExternalData(file_name="wanted.csv", data=b"2\n5\n", fmt="CSV", structure="id UInt64")
    query = "SELECT id FROM people.t WHERE id IN (SELECT id FROM wanted)"
    assert client.query(query, external_data=wanted).result_rows == [(2,)]
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT * FROM wanted")
    assert caught.value.code == 60


def test_settings_hold_for_one_query_and_set_for_the_session(client: Client) -> None:
    query = "SELECT getSetting('max_threads')"
    client.command("SET max_threads = 7")
    assert client.query(query, settings={"max_threads": 3}).result_rows == [(3,)]
    assert client.query(query).result_rows == [(7,)]


def test_temporary_tables_last_for_the_session(gateway: GatewayProcess, client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    client.command("INSERT INTO mine VALUES (1), (2)")
    assert client.command("SELECT sum(a) FROM mine") == 3
    with (
        clickhouse_connect.get_client(host="127.0.0.1", port=gateway.port) as other,
        pytest.raises(DatabaseError, match="UNKNOWN_TABLE"),
    ):
        other.query("SELECT * FROM mine")


@pytest.mark.parametrize(
    ("query", "code", "name"),
    [
        ("SELECT * FROM people.nothing", 60, "UNKNOWN_TABLE"),
        ("SELECT * FROM nowhere.t", 81, "UNKNOWN_DATABASE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT nofunction(1)", 46, "UNKNOWN_FUNCTION"),
        ("SELECT throwIf(number = 9) FROM numbers(10)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_errors_have_their_code_and_name(client: Client, query: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(query)
    assert (caught.value.code, caught.value.name) == (code, name)


def test_a_database_that_does_not_exist_is_named(gateway: GatewayProcess) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        clickhouse_connect.get_client(host="127.0.0.1", port=gateway.port, database="nowhere")


def test_commands_answer_values_or_summaries(client: Client) -> None:
    assert client.command("SELECT 1") == 1
    assert client.command("EXISTS people.t") == 1
    assert client.command("SHOW TABLES FROM people") == "t"
    assert client.command("SELECT id FROM people.t") == ""
    assert client.command("OPTIMIZE TABLE people.t FINAL").query_id()
    assert client.ping()


def test_a_large_result_streams(client: Client) -> None:
    query = "SELECT number, toString(number) FROM numbers(2000000)"
    count = 0
    with client.query_row_block_stream(query) as blocks:
        for block in blocks:
            count += len(block)
    assert count == 2_000_000


def test_a_failure_behind_the_first_rows_is_raised(client: Client) -> None:
    query = "SELECT number, throwIf(number = 1900000, 'too late') FROM numbers(2000000)"
    with (
        pytest.raises(DatabaseError, match="too late"),
        client.query_row_block_stream(query, settings={"max_block_size": 10000}) as blocks,
    ):
        for _ in blocks:
            pass


def test_arrow_both_ways(client: Client) -> None:
    table = client.query_arrow("SELECT number AS id, toString(number) AS name FROM numbers(1000)")
    client.insert_arrow("people.t", table)
    assert client.command("SELECT sum(id), uniqExact(name) FROM people.t") == ["499500", "1000"]


def test_a_token_makes_an_insert_happen_once(client: Client) -> None:
    client.command(
        "CREATE TABLE people.once (id UInt64) ENGINE = MergeTree ORDER BY id "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("first", "first", "second"):
        client.insert("people.once", [(1,), (2,)], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM people.once") == 4
