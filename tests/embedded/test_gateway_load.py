"""Many at once: scans do not hold up inserts, clients that leave free their place, memory stays bounded."""

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psutil
import pytest
from gateway_process import DEADLINE_S, GatewayProcess, running, wait_until

FOREVER = "SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1"
RUNNING = (
    "SELECT count() FROM system.processes "
    "WHERE query LIKE '%100000000000000%' AND query NOT LIKE '%processes%'"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running(tmp_path_factory.mktemp("data")) as process:
        process.sql("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        yield process


def ask(gateway: GatewayProcess, query: str, **arguments: str) -> http.client.HTTPConnection:
    """Sends a query and does not wait for the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
    more = "".join(f"&{name}={value}" for name, value in arguments.items())
    connection.request("POST", f"/?query={quote(query)}{more}")
    return connection


def test_inserts_and_short_queries_go_on_during_long_scans(gateway: GatewayProcess) -> None:
    scans = [ask(gateway, FOREVER, max_threads="1") for _ in range(3)]
    try:
        wait_until(lambda: gateway.sql(RUNNING) == "3\n")
        for n in range(20):
            assert gateway.send("INSERT INTO t FORMAT CSV", b"%d\n" % n).status == 200
        assert gateway.sql("SELECT count() FROM t") == "20\n"
        assert gateway.sql(RUNNING) == "3\n"
    finally:
        for scan in scans:
            scan.close()
    wait_until(lambda: gateway.sql(RUNNING) == "0\n")


def test_a_client_that_leaves_frees_its_place(gateway: GatewayProcess) -> None:
    """More clients leave than there are places, some before and some in the middle of their result."""
    for _ in range(3):
        left = [ask(gateway, FOREVER, max_threads="1") for _ in range(6)]
        streams = [
            ask(gateway, "SELECT number FROM numbers(100000000000000)", max_threads="1") for _ in range(4)
        ]
        for stream in streams:
            assert stream.getresponse().read(1000)
        for connection in (*left, *streams):
            connection.close()
    wait_until(lambda: gateway.sql(RUNNING) == "0\n")
    assert gateway.sql("SELECT 1") == "1\n"


def test_an_insert_ends_even_if_its_client_leaves(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE OR REPLACE TABLE slow (a Int64) ENGINE = MergeTree ORDER BY a")
    left = ask(gateway, "INSERT INTO slow SELECT number + sleepEachRow(0.01) FROM numbers(100)")
    wait_until(
        lambda: gateway.sql("SELECT count() FROM system.processes WHERE query LIKE '%INTO slow%'") != "0\n"
    )
    left.close()
    wait_until(lambda: gateway.sql("SELECT count() FROM slow") == "100\n")


def test_an_upload_that_breaks_off_inserts_nothing(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE OR REPLACE TABLE broken (a Int64) ENGINE = MergeTree ORDER BY a")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
    connection.putrequest("POST", f"/?query={quote('INSERT INTO broken FORMAT CSV')}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"1\n" * 200_000)
    connection.close()
    assert gateway.send("INSERT INTO broken FORMAT CSV", b"7\n").status == 200
    assert gateway.sql("SELECT groupArray(a) FROM broken") == "[7]\n"


def test_a_stopped_insert_is_an_error_for_its_client(gateway: GatewayProcess) -> None:
    gateway.sql("CREATE OR REPLACE TABLE stopped (a Int64) ENGINE = Null")
    gateway.sql("DROP TABLE IF EXISTS slowly")
    gateway.sql("CREATE MATERIALIZED VIEW slowly ENGINE = Null AS SELECT sleepEachRow(0.01) FROM stopped")
    rows = b"".join(b"%d\n" % n for n in range(200))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(gateway.send, "INSERT INTO stopped FORMAT CSV", rows)
        find = "query LIKE 'INSERT INTO stopped%'"
        wait_until(lambda: gateway.sql(f"SELECT count() FROM system.processes WHERE {find}") != "0\n")
        gateway.sql(f"KILL QUERY WHERE {find} ASYNC")
        reply = future.result(DEADLINE_S)
    assert reply.headers["x-clickhouse-exception-code"] == "394"


def test_a_session_in_use_is_locked(gateway: GatewayProcess) -> None:
    scan = ask(gateway, FOREVER, session_id="busy", max_threads="1")
    wait_until(lambda: gateway.sql(RUNNING) == "1\n")
    assert gateway.send("SELECT 1", session_id="busy").headers["x-clickhouse-exception-code"] == "373"
    scan.close()
    wait_until(lambda: gateway.send("SELECT 1", session_id="busy").status == 200)


@pytest.mark.parametrize("arguments", [{}, {"wait_end_of_query": "1"}])
def test_a_large_result_does_not_fill_the_memory(gateway: GatewayProcess, arguments: dict[str, str]) -> None:
    memory = psutil.Process(gateway.process.pid)
    before = memory.memory_info().rss
    peak = before
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, memory.memory_info().rss)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = ask(gateway, "SELECT number, hex(number) FROM numbers(20000000)", **arguments).getresponse()
        size = 0
        while chunk := answer.read(1 << 20):
            size += len(chunk)
    finally:
        done.set()
        watcher.join()
    assert size > 300_000_000
    assert peak - before < 150_000_000
