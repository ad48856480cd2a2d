"""What the gateway takes for signs of a full disk, and what for mere words."""

import subprocess
import sys

import pytest

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
