"""`keytrail up`, `down` and `status`, as functions for the command line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keytrail.deploy.embedded import lock
from keytrail.deploy.embedded.logs import rotate
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import Ports
from keytrail.deploy.embedded.process import describe_exit
from keytrail.deploy.embedded.stack import run_stack
from keytrail.deploy.embedded.state import PartStatus, read_parts
from keytrail.deploy.embedded.supervisor import LOGS
from keytrail.schemas.settings import Settings, read_stack

_POLL_S = 0.05
_DOWN_TIMEOUT_S = 150
_SUPERVISOR_LOG_BYTES = 1_000_000


@dataclass(frozen=True)
class StackStatus:
    """`pid` is None where no stack runs; `addresses` (as in `stack.json`) are there once it is ready."""

    pid: int | None
    addresses: dict[str, str]
    parts: tuple[PartStatus, ...]


def up(
    data_dir: Path,
    ports: Ports,
    detach: bool,
    apps: Sequence[Part],
    prepare: Callable[[Settings], None],
    command: Sequence[str] = (sys.executable, "-m", "keytrail.cli.main", "up"),
) -> int:
    """Starts the stack and runs it until a signal, or with `detach` returns once it is ready.

    Progress goes to stderr, the addresses to stdout.  Returns the exit code 0.  Raises what
    `run_stack` raises; with `detach` the process that runs the stack prints its own error, which
    this one repeats, and its exit code is returned.

    `command` starts that process: with the data directory's and the ports' flags appended it must
    come to this function with the same apps and `prepare`, without `detach`.
    """
    if detach:
        return _up_detached(data_dir, ports, command)
    run_stack(data_dir, ports, apps, prepare, _to_stderr, _print_addresses)
    return 0


def down(data_dir: Path, timeout_s: float = _DOWN_TIMEOUT_S) -> int:
    """Stops the stack and waits until its last part has stopped.

    Returns the exit code: 0 if it stopped or none ran, 1 if it still runs after `timeout_s`.
    """
    pid = lock.holder(data_dir)
    if pid is None:
        _to_stderr(f"No stack runs on {data_dir}.")
        return 0
    _to_stderr(f"Stopping the stack on {data_dir} (pid {pid}).")
    try:
        if pid:
            os.kill(pid, signal.SIGTERM)
    except PermissionError:
        _to_stderr("It belongs to another user, who alone can stop it.")
        return 1
    except ProcessLookupError:
        pass  # it was killed, and what it left is being stopped
    deadline = time.monotonic() + timeout_s
    while lock.holder(data_dir) is not None:
        if time.monotonic() > deadline:
            _to_stderr(
                f"It is still stopping; see {_supervisor_log(data_dir)}, or end it with kill -9 {pid}."
            )
            return 1
        time.sleep(_POLL_S)
    _to_stderr("Stopped.")
    return 0


def stack_status(data_dir: Path) -> StackStatus:
    """What runs on this directory now; raises `UsageError` where `stack.json` cannot be read."""
    pid = lock.holder(data_dir)
    if pid is None:
        return StackStatus(None, {}, ())
    addresses = {name: value for name, value in read_stack(data_dir).items() if name != "pid"}
    return StackStatus(pid, addresses, read_parts(data_dir))


def _up_detached(data_dir: Path, ports: Ports, command: Sequence[str]) -> int:
    lock.acquire(data_dir).release()  # refuses here already, before the running stack's log is touched
    log = _supervisor_log(data_dir)
    log.parent.mkdir(exist_ok=True)
    if log.exists() and log.stat().st_size > _SUPERVISOR_LOG_BYTES:
        rotate(log, keep=1)
    with log.open("ab") as output, log.open(errors="replace") as echo:
        echo.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *_port_flags(ports)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
        try:
            while read_stack(data_dir).get("pid") != str(child.pid):
                code = child.poll()
                sys.stderr.write(echo.read())
                if code is not None:
                    if code < 0:
                        _to_stderr(f"The stack ended before it was ready ({describe_exit(code)}).")
                    return max(code, 1)
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            raise
        sys.stderr.write(echo.read())
    _write_addresses(read_stack(data_dir))
    _to_stderr(f"Stop it with `keytrail down --data-dir {data_dir}`.")
    return 0


def _port_flags(ports: Ports) -> list[str]:
    return [
        *("--kafka-port", str(ports.kafka)),
        *("--registry-port", str(ports.registry)),
        *("--clickhouse-port", str(ports.clickhouse)),
    ]


def _supervisor_log(data_dir: Path) -> Path:
    return data_dir / LOGS / "supervisor.log"


def _print_addresses(addresses: Mapping[str, str]) -> None:
    _write_addresses(addresses)
    _to_stderr("The stack is up.")


def _write_addresses(addresses: Mapping[str, str]) -> None:
    for label, name in (
        ("kafka", "kafka_bootstrap"),
        ("registry", "registry_url"),
        ("clickhouse", "clickhouse_url"),
        ("otlp http", "otlp_http"),
        ("otlp grpc", "otlp_grpc"),
    ):
        if name in addresses:
            sys.stdout.write(f"{label:<11}{addresses[name]}\n")
    sys.stdout.flush()


def _to_stderr(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone; the stack is not stopped for that
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
