"""An embedded stack for the tests, on free ports, in a folder of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keytrail.schemas.settings import Settings, load_settings, read_stack

_DEADLINE_S = 180


@contextmanager
def running_stack(
    data_dir: Path,
    workers: int,
    sinks: int,
    *,
    otlp: bool = False,
    notary: bool = False,
    policy: Path | None = None,
) -> Iterator[Settings]:
    """`keytrail up` in the foreground of a process of ours, until the block ends."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KEYTRAIL_")}
    ports = [f"--{engine}-port=0" for engine in ("kafka", "registry", "clickhouse", "otlp-http", "otlp-grpc")]
    apps = ["--workers", str(workers), "--sinks", str(sinks), *([] if otlp else ["--no-otlp"])]
    apps += [] if notary else ["--no-notary"]
    apps += [] if policy is None else ["--policy", str(policy)]
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "keytrail.cli.main", "up", "--data-dir", str(data_dir), *ports, *apps],
            stdout=log,
            stderr=log,
            env=env,
        )
    try:
        deadline = time.monotonic() + _DEADLINE_S
        while not read_stack(data_dir):
            said = (data_dir / "up.log").read_text()
            assert up.poll() is None, f"`keytrail up` ended with {up.returncode}:\n{said}"
            assert time.monotonic() < deadline, f"`keytrail up` is not ready:\n{said}"
            time.sleep(0.05)
        yield load_settings(data_dir=data_dir, env={})
    finally:
        up.terminate()
        up.wait(_DEADLINE_S)
