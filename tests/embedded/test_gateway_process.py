"""The process: one owner of the data, nothing acknowledged is lost, a clean end."""

import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from gateway_process import DEADLINE_S, GatewayProcess, command, free_port, running, wait_until

BATCH = 50


def test_a_second_owner_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        second = subprocess.run(
            command(tmp_path, free_port()), capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert second.returncode == 1
        assert f"process {first.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert second.stdout == ""
        assert first.sql("SELECT 1") == "1\n"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            command(tmp_path, port), capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(2):
        with running(tmp_path) as gateway:
            gateway.sql("CREATE TABLE IF NOT EXISTS kept (a Int64, b String) ENGINE = MergeTree ORDER BY a")
            with ThreadPoolExecutor(1) as pool:
                inserted = pool.submit(insert_until_it_dies, gateway, acknowledged)
                enough = f"SELECT count() >= {acknowledged + 1000} FROM kept"
                wait_until(lambda: gateway.sql(enough) == "1\n")  # noqa: B023 - used in this round only
                assert gateway.stop(signal.SIGKILL) == -signal.SIGKILL
                acknowledged = inserted.result(DEADLINE_S)
    with running(tmp_path) as gateway:
        count, kinds = (
            int(number) for number in gateway.sql("SELECT count(), uniqExact(a) FROM kept").split()
        )
        assert kinds >= acknowledged >= 2000 - 2 * BATCH
        # an insert in flight may have landed without its answer: whole or not at all
        assert count % BATCH == 0


def insert_until_it_dies(gateway: GatewayProcess, first: int) -> int:
    """Inserts batches of ascending numbers from `first` on; the first number that was not acknowledged."""
    while True:
        rows = b"".join(b"%d,x\n" % (first + n) for n in range(BATCH))
        try:
            reply = gateway.send("INSERT INTO kept FORMAT CSV", rows)
        except (OSError, HTTPException):
            return first
        assert reply.status == 200, reply.text
        first += BATCH


def test_sigterm_lets_running_inserts_end_and_keeps_everything(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        gateway.sql("CREATE TABLE kept (a Int64) ENGINE = MergeTree ORDER BY a")
        replies = []
        query = "INSERT INTO kept SELECT number + sleepEachRow(0.01) FROM numbers(100)"
        writer = threading.Thread(target=lambda: replies.append(gateway.send(query)))
        writer.start()
        find = "SELECT count() FROM system.processes WHERE query LIKE '%INTO kept%'"
        wait_until(lambda: gateway.sql(find) == "2\n")
        assert gateway.stop(signal.SIGTERM) == 0
        writer.join(DEADLINE_S)
        assert [reply.status for reply in replies] == [200]
    with running(tmp_path) as gateway:
        assert gateway.sql("SELECT count() FROM kept") == "100\n"


def test_sigterm_stops_what_runs_too_long(tmp_path: Path) -> None:
    endless = "SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1"
    with running(tmp_path, "--drain-seconds", "1") as gateway, ThreadPoolExecutor(2) as pool:
        counting = pool.submit(gateway.send, endless, max_threads="1")
        inserting = pool.submit(
            gateway.send, f"INSERT INTO FUNCTION null('a UInt64') {endless}", max_threads="1"
        )
        find = "SELECT count() FROM system.processes WHERE query LIKE '%100000000000000%'"
        wait_until(lambda: gateway.sql(find) == "3\n")
        assert gateway.stop(signal.SIGTERM) == 0
        for future in (counting, inserting):
            assert future.result(DEADLINE_S).headers["x-clickhouse-exception-code"] == "394"


def test_it_ends_at_once_when_idle_and_starts_again(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with running(tmp_path) as gateway:
            gateway.sql(
                "CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = MergeTree ORDER BY a", session_id="open"
            )
            assert gateway.stop(number) == 0
