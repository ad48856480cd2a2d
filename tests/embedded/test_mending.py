"""What the gateway takes for signs of a full disk, and what for mere words; what it answers meanwhile."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gateway_process import DEADLINE_S, running
from small_disk import small_disk
from waiting import wait_until

PROGRAM = """
import sys, time
from pathlib import Path
from keytrail.deploy.embedded.gateway.errors import EngineError
from keytrail.deploy.embedded.gateway.mending import Mender
Mender(Path(".")).hear(EngineError.from_engine(sys.argv[1]))
time.sleep(2)
"""


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Code: 246. DB::Exception: Empty marks file. (CORRUPTED_DATA)", 75),
        ("Code: 1001. DB::Exception: write failed: No space left on device", 75),
        ("Code: 60. DB::Exception: no table t: WHERE e LIKE '%No space left on device%'", 0),
        ("Code: 395. DB::Exception: No space left on device: while executing throwIf", 0),
        ("Code: 243. DB::Exception: Cannot reserve 9.00 TiB. (NOT_ENOUGH_SPACE)", 0),
    ],
)
def test_only_the_engines_own_trouble_ends_it(said: str, code: int) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, said], timeout=60, check=False)
    assert ended.returncode == code


def test_no_write_that_ends_on_a_full_disk_is_acknowledged(tmp_path: Path) -> None:
    """The table is in memory, so that the engine itself has nothing against them."""
    with (
        small_disk(tmp_path / "data", 200) as disk,
        running(tmp_path / "data") as gateway,
        ThreadPoolExecutor() as threads,
    ):
        gateway.sql("CREATE TABLE t (n UInt8) ENGINE = Memory")
        under_way = threads.submit(
            gateway.send,
            "",
            b"INSERT INTO t SELECT sleepEachRow(3) FROM numbers(5) SETTINGS max_block_size = 1",
        )
        wait_until(
            lambda: gateway.sql("SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'") != "0\n"
        )
        disk.fill()
        assert under_way.result().headers["x-clickhouse-exception-code"] == "319"
        begun_later = gateway.send("", b"INSERT INTO t SELECT 1")
        assert begun_later.headers["x-clickhouse-exception-code"] == "243"
        assert gateway.sql("SELECT 1") == "1\n"
        disk.free()
        assert gateway.process.wait(DEADLINE_S) == 75
