"""The HTTP interface as curl, Grafana and scripts use it."""

import gzip
import json
from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess, running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running(tmp_path_factory.mktemp("data"), "--max-body-mib", "1") as process:
        yield process


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_in_the_url(gateway: GatewayProcess, method: str) -> None:
    reply = gateway.send("SELECT 1 AS one FORMAT JSONCompact", method=method)
    assert reply.status == 200
    assert json.loads(reply.text)["data"] == [[1]]
    assert reply.headers["x-clickhouse-format"] == "JSONCompact"
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-clickhouse-timezone"]
    assert reply.headers["x-clickhouse-server-display-name"]


def test_a_query_may_begin_in_the_url_and_end_in_the_body(gateway: GatewayProcess) -> None:
    assert gateway.send("SELECT 1 +", b"2 FORMAT TSV").text == "3\n"


def test_without_a_query_it_says_that_it_is_there(gateway: GatewayProcess) -> None:
    assert gateway.send(method="GET").text == "Ok.\n"
    assert gateway.send(method="POST").headers["x-clickhouse-exception-code"] == "62"


def test_the_query_id_comes_back(gateway: GatewayProcess) -> None:
    assert gateway.send("SELECT 1", query_id="mine-7").headers["x-clickhouse-query-id"] == "mine-7"
    first, second = (gateway.send("SELECT 1").headers["x-clickhouse-query-id"] for _ in range(2))
    assert first != second
    hostile = gateway.send("SELECT 1", query_id="a\r\nX-Evil: 1")
    assert hostile.headers["x-clickhouse-query-id"] == "aX-Evil: 1"


def test_the_format_of_the_answer(gateway: GatewayProcess) -> None:
    assert gateway.send("SELECT 1, 'a'").text == "1\ta\n"
    assert gateway.send("SELECT 1, 'a'", default_format="CSV").text == '1,"a"\n'
    assert gateway.send("SELECT 1, 'a'", headers={"X-ClickHouse-Format": "Values"}).text == "(1,'a')"
    assert gateway.send("SELECT 1 FORMAT CSV", default_format="JSON").text == "1\n"
    assert gateway.send("SHOW DATABASES", default_format="JSON").headers["x-clickhouse-format"] == "JSON"


def test_a_word_that_only_looks_like_a_format_clause(gateway: GatewayProcess) -> None:
    assert gateway.sql("SELECT number AS format FROM numbers(2) ORDER BY format DESC") == "1\n0\n"


def test_the_database_of_a_request(gateway: GatewayProcess) -> None:
    assert gateway.sql("SELECT currentDatabase()", database="system") == "system\n"
    header = {"X-ClickHouse-Database": "system"}
    assert gateway.send("SELECT currentDatabase()", headers=header).text == "system\n"
    assert gateway.sql("SELECT currentDatabase()") == "default\n"


def test_settings_in_the_url(gateway: GatewayProcess) -> None:
    assert gateway.sql("SELECT getSetting('max_threads')", max_threads="3") == "3\n"
    assert gateway.sql("SELECT getSetting('log_comment')", log_comment="it's \\ ok") == "it\\'s \\\\ ok\n"
    unknown = gateway.send("SELECT 1", no_such_setting="1")
    assert (unknown.status, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")
    wrong = gateway.send("SELECT 1", max_threads="many")
    assert (wrong.status, wrong.headers["x-clickhouse-exception-code"]) == (400, "27")
    assert gateway.send("SELECT 1", **{"max_threads=1,readonly": "1"}).status == 404


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELECT * FROM nothing", 404, 60),
        ("SELECT * FROM nowhere.nothing", 404, 81),
        ("INSERT INTO nothing FORMAT CSV", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT (1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT nocolumn", 404, 47),
        ("SELECT 1 FORMAT NoSuchFormat", 404, 73),
        ("SELECT 1 SETTINGS no_such_setting = 1", 404, 115),
        ("SELECT toUInt8('x')", 400, 6),
        ("SELECT throwIf(1)", 500, 395),
        (
            "SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_block_size = 1, max_execution_time = 1",
            408,
            159,
        ),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 500, 358),
    ],
)
@pytest.mark.parametrize("wait", ["0", "1"])
def test_errors_as_a_server_has_them(
    gateway: GatewayProcess, query: str, status: int, code: int, wait: str
) -> None:
    reply = gateway.send("", query.encode(), wait_end_of_query=wait)
    assert (reply.status, reply.headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert reply.text.startswith(f"Code: {code}. DB::Exception: ")


def test_get_changes_nothing(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE OR REPLACE TABLE kept (a Int8) ENGINE = MergeTree ORDER BY a")
    for query in (
        "DROP TABLE kept",
        "INSERT INTO kept VALUES (1)",
        "INSERT INTO kept SELECT 1",
        "SYSTEM FLUSH LOGS",
    ):
        reply = gateway.send(query, method="GET")
        assert reply.headers["x-clickhouse-exception-code"] == "164", query
    assert gateway.send("SELECT count() FROM kept", method="GET").text == "0\n"
    assert gateway.send("SELEC", method="GET").headers["x-clickhouse-exception-code"] == "62"


def test_summary_of_a_result_and_of_an_insert(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE OR REPLACE TABLE counted (a Int64) ENGINE = MergeTree ORDER BY a")
    written = gateway.send("INSERT INTO counted SELECT number FROM numbers(10)")
    assert json.loads(written.headers["x-clickhouse-summary"])["written_rows"] == "10"
    assert "x-clickhouse-format" not in written.headers
    read = json.loads(gateway.send("SELECT sum(a) FROM counted").headers["x-clickhouse-summary"])
    assert (read["read_rows"], read["result_rows"]) == ("10", "1")


def test_system_commands_and_ddl_pass_through(gateway: GatewayProcess) -> None:
    for query in (
        "SYSTEM FLUSH LOGS",
        "CREATE OR REPLACE TABLE passing (a Int8) ENGINE = MergeTree ORDER BY a",
        "ALTER TABLE passing ADD COLUMN b String DEFAULT 'x'",
        "INSERT INTO passing (a) SETTINGS async_insert = 1, wait_for_async_insert = 1 VALUES (1)",
        "OPTIMIZE TABLE passing FINAL",
        "ALTER TABLE passing UPDATE b = 'y' WHERE 1 SETTINGS mutations_sync = 1",
    ):
        gateway.sql(query)
    assert gateway.sql("SELECT * FROM passing") == "1\ty\n"
    assert gateway.sql("EXPLAIN SELECT 1")
    assert gateway.sql("DESCRIBE TABLE passing").startswith("a\tInt8")


def test_text_that_is_not_unicode(gateway: GatewayProcess) -> None:
    assert gateway.send("", b"SELECT '\xff\x00\xfe' FORMAT RawBLOB").body == b"\xff\x00\xfe"
    assert gateway.send(b"SELECT '\xff' FORMAT RawBLOB").body == b"\xff"
    reply = gateway.send(b"SELECT {x:String}", param_x="a\udcffb".encode("utf-8", "surrogateescape"))
    assert reply.headers["x-clickhouse-exception-code"] == "408"


def test_sessions_keep_their_state(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE TEMPORARY TABLE mine (a Int8)", session_id="one")
    gateway.sql("INSERT INTO mine VALUES (5)", session_id="one", database="system", max_threads="2")
    assert gateway.sql("SELECT a, currentDatabase() FROM mine", session_id="one") == "5\tdefault\n"
    gateway.sql("USE system", session_id="one")
    assert gateway.sql("SELECT currentDatabase()", session_id="one") == "system\n"
    assert gateway.send("SELECT * FROM mine", session_id="two").status == 404
    missing = gateway.send("SELECT 1", session_id="three", session_check="1")
    assert missing.headers["x-clickhouse-exception-code"] == "372"
    failed = gateway.send("SELECT 1", session_id="one", no_such_setting="1", max_threads="9")
    assert failed.status == 404
    assert gateway.sql("SELECT getSetting('max_threads') = 9", session_id="one") == "0\n"


def test_a_body_over_the_limit_is_refused_also_when_it_unfolds_there(gateway: GatewayProcess) -> None:
    big = bytes(2 * 1024 * 1024)
    for body, headers in ((big, {}), (gzip.compress(big), {"Content-Encoding": "gzip"})):
        reply = gateway.send("INSERT INTO FUNCTION null('a String') FORMAT RawBLOB", body, headers=headers)
        assert (reply.status, reply.headers["x-clickhouse-exception-code"]) == (413, "229")


def test_native_block_compression_is_declined_with_advice(gateway: GatewayProcess) -> None:
    reply = gateway.send("SELECT 1", compress="1")
    assert reply.status == 501
    assert "compress=0" in reply.text


def test_unknown_content_encoding_and_path(gateway: GatewayProcess) -> None:
    assert gateway.send("SELECT 1", b"x", headers={"Content-Encoding": "compress"}).status == 415
    assert gateway.send("SELECT 1", headers={"Content-Type": "multipart/form-data"}).status == 500


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.evil.example"},
    ],
)
def test_web_pages_of_others_are_refused(gateway: GatewayProcess, headers: dict[str, str]) -> None:
    reply = gateway.send("SELECT 1", headers=headers)
    assert (reply.status, reply.headers["x-clickhouse-exception-code"]) == (403, "497")


def test_own_names_are_served(gateway: GatewayProcess) -> None:
    for name in ("localhost", f"localhost:{gateway.port}", "[::1]:1", "127.0.0.1"):
        assert gateway.send("SELECT 1", headers={"Host": name}).status == 200
    own = f"127.0.0.1:{gateway.port}"
    assert gateway.send("SELECT 1", headers={"Host": own, "Origin": f"http://{own}"}).status == 200
