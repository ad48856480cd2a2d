"""`up`, `down` and `status` as programs, with external engines, so that only small parts run."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from embedded_support import (
    ALL_EXTERNAL,
    DEADLINE_S,
    SLEEPER,
    all_gone,
    apps,
    clean_env,
    program,
    start_stack,
    wait_until,
)

from keytrail.deploy.embedded import lock
from keytrail.deploy.embedded.commands import down, stack_status

SLOW_TO_STOP = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1.5), sys.exit()))
print("up", flush=True)
time.sleep(3600)
"""


def run(data_dir: Path, *flags: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program(data_dir, *flags),
        env=clean_env(ALL_EXTERNAL if env is None else env),
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def test_a_stack_runs_until_sigterm_and_leaves_nothing(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER, sink=SLEEPER))
    assert stack.addresses == {
        "kafka_bootstrap": "127.0.0.1:1",
        "registry_url": "http://127.0.0.1:1",
        "clickhouse_url": "http://127.0.0.1:1",
        "pid": str(stack.process.pid),
    }
    status = stack_status(tmp_path)
    assert status.pid == stack.process.pid
    assert status.addresses["kafka_bootstrap"] == "127.0.0.1:1"
    assert [(part.name, part.state, part.restarts) for part in status.parts] == [
        ("worker", "ready", 0),
        ("sink", "ready", 0),
    ]
    family = stack.family()
    assert len(family) == 3  # two parts and the warden
    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait(DEADLINE_S) == 0
    assert all_gone(family)
    assert not (tmp_path / "stack.json").exists()
    assert not (tmp_path / "parts.json").exists()
    assert stack_status(tmp_path).pid is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_stack_stops_in_good_order_on_other_signals(tmp_path: Path, number: signal.Signals) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    family = stack.family()
    stack.process.send_signal(number)
    assert stack.process.wait(DEADLINE_S) == 0
    assert all_gone(family)


def test_a_stack_started_with_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    finally:
        signal.signal(signal.SIGHUP, previous)
    stack.process.send_signal(signal.SIGHUP)
    os.kill(stack.part_pid("worker"), signal.SIGKILL)
    wait_until(lambda: stack.parts()["worker"]["restarts"] == 1, "the supervisor goes on")
    stack.stop()


def test_a_killed_supervisor_leaves_no_part_behind(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER, sink=SLEEPER))
    family = stack.family()
    stack.process.kill()
    stack.process.wait()
    wait_until(lambda: all_gone(family), "the parts are gone")
    wait_until(lambda: lock.holder(tmp_path) is None, "the lock is free")
    assert not (tmp_path / "stack.json").exists()
    again = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    again.stop()


def test_a_stack_that_starts_after_a_kill_waits_for_the_old_parts_to_end(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLOW_TO_STOP))
    wait_until(lambda: "up" in stack.log("worker"), "the part handles SIGTERM")
    family = stack.family()
    stack.process.kill()
    stack.process.wait()
    again = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    assert all_gone(family)
    again.stop()


def test_a_second_stack_on_the_directory_is_refused(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    for flags in ((), ("--detach",)):
        refused = run(tmp_path, *flags)
        assert refused.returncode == 1
        assert f"A stack already runs on {tmp_path} (pid {stack.process.pid})." in refused.stderr
        assert f"keytrail down --data-dir {tmp_path}" in refused.stderr
    assert stack.process.poll() is None
    stack.stop()


@pytest.mark.parametrize("part", ["kafka", "registry", "clickhouse"])
def test_a_taken_port_is_named_with_its_part_and_flag(tmp_path: Path, part: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run(tmp_path, f"--{part}-port", str(port), env={})
    assert refused.returncode == 1
    assert f"Port {port}, for {part}, cannot be used: address already in use." in refused.stderr
    assert f"choose another with --{part}-port PORT" in refused.stderr
    assert lock.holder(tmp_path) is None


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "--kafka-port", "70000", env={})
    assert refused.returncode == 1
    assert "--kafka-port 70000 is not a port." in refused.stderr


def test_apps_find_the_engines_in_their_environment_and_start_after_the_preparation(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    prepare = f"open({str(prepared)!r}, 'w').write(settings.kafka.bootstrap)"
    worker = f"""
from os import environ
import time
engine, folder = environ["KEYTRAIL_REGISTRY_URL"], environ["KEYTRAIL_DATA_DIR"]
print(open({str(prepared)!r}).read(), engine, folder, flush=True)
time.sleep(3600)
"""
    stack = start_stack(tmp_path, ALL_EXTERNAL, "--prepare", prepare, *apps(worker=worker))
    wait_until(lambda: stack.log("worker").endswith("\n"), "the worker said its line")
    assert stack.log("worker") == f"127.0.0.1:1 http://127.0.0.1:1 {tmp_path}\n"
    stack.stop()


def test_a_failed_preparation_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    prepare = (
        "from keytrail.schemas.errors import KeytrailError; raise KeytrailError('No room.', 'Make some.')"
    )
    failed = run(tmp_path, "--prepare", prepare, *apps(worker=SLEEPER))
    assert failed.returncode == 1
    assert "error: No room. Make some." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert lock.holder(tmp_path) is None


def test_a_stack_that_is_stopped_while_it_starts_stops(tmp_path: Path) -> None:
    with subprocess.Popen(
        program(
            tmp_path, "--prepare", f"open({str(tmp_path / 'here')!r}, 'w'); import time; time.sleep(3600)"
        ),
        env=clean_env(ALL_EXTERNAL),
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until((tmp_path / "here").exists, "the preparation began")
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    assert lock.holder(tmp_path) is None


def test_a_detached_stack_returns_when_ready_and_is_stopped_by_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = run(tmp_path, "--detach", *apps(worker=SLEEPER))
    assert started.returncode == 0
    assert started.stdout == (
        "kafka      127.0.0.1:1\nregistry   http://127.0.0.1:1\nclickhouse http://127.0.0.1:1\n"
    )
    assert "worker is ready" in started.stderr
    assert f"Stop it with `keytrail down --data-dir {tmp_path}`." in started.stderr
    pid = stack_status(tmp_path).pid
    assert pid is not None
    family = psutil.Process(pid).children(recursive=True)
    assert down(tmp_path) == 0
    assert f"Stopping the stack on {tmp_path} (pid {pid}).\nStopped.\n" in capsys.readouterr().err
    assert all_gone(family)
    assert down(tmp_path) == 0
    assert capsys.readouterr().err == f"No stack runs on {tmp_path}.\n"


@pytest.mark.parametrize("detach", [True, False])
def test_a_part_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path, detach: bool) -> None:
    """Here the registry, whose Kafka client is given a setting that does not exist."""
    env = {**ALL_EXTERNAL, "KEYTRAIL_REGISTRY_URL": "", "KEYTRAIL_KAFKA_SECURITY_PROTOCOL": "nonsense"}
    failed = run(tmp_path, *(["--detach"] if detach else []), env=env)
    assert failed.returncode == 1
    assert "error: registry ended before it was ready (exit code 1)." in failed.stderr
    assert str(tmp_path / "logs" / "registry.log") in failed.stderr
    assert "security.protocol" in failed.stderr
    assert lock.holder(tmp_path) is None


def test_down_ends_a_stack_whose_supervisor_was_just_killed(tmp_path: Path) -> None:
    stack = start_stack(tmp_path, ALL_EXTERNAL, *apps(worker=SLEEPER))
    os.kill(stack.process.pid, signal.SIGKILL)
    assert down(tmp_path) == 0
    assert stack_status(tmp_path).parts == ()
    stack.process.wait(DEADLINE_S)
