"""The supervisor and its parts, which are small Python programs here."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from embedded_support import DEADLINE_S, SLEEPER, all_gone
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.deploy.embedded import lock
from keytrail.deploy.embedded.logs import RotatingLog, tail
from keytrail.deploy.embedded.part import Backoff, Part
from keytrail.deploy.embedded.runner import PartError
from keytrail.deploy.embedded.state import PartStatus, read_parts
from keytrail.deploy.embedded.supervisor import Supervisor
from keytrail.deploy.embedded.warden import Warden
from keytrail.schemas.errors import KeytrailError, UsageError

FAST = Backoff(first_s=0.05, longest_s=0.2)
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(3600)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
"""


def part(name: str, code: str = SLEEPER, **more: object) -> Part:
    return Part(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


def says_up(data_dir: Path, name: str) -> Callable[[], bool]:
    """Ready once the part's log has `up`."""
    return lambda: "up" in tail(data_dir / "logs" / f"{name}.log")


def supervise(data_dir: Path, said: list[str], test: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Runs `test` with a supervisor, and stops that at its end."""

    async def run() -> None:
        supervisor = Supervisor(data_dir, warden, said.append, FAST)
        try:
            await asyncio.wait_for(test(supervisor), DEADLINE_S)
        finally:
            await supervisor.stop()

    held = lock.acquire(data_dir)
    warden = Warden(held.fd, ())
    try:
        asyncio.run(run())
    finally:
        warden.dismiss()
        held.release()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def status(data_dir: Path, name: str) -> PartStatus:
    return next(part for part in read_parts(data_dir) if part.name == name)


def test_parts_are_launched_in_order_and_stopped_in_reverse(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = """
import signal, sys, time
def note(word): open({path!r}, "a").write(word + " {name}\\n")
signal.signal(signal.SIGTERM, lambda *_: (note("stop"), sys.exit()))
note("start"); print("up", flush=True); time.sleep(3600)
"""
    names = ["first", "second", "third"]

    async def test(supervisor: Supervisor) -> None:
        for name in names:
            ready = says_up(tmp_path, name)
            await supervisor.start(
                [part(name, code.format(path=str(order), name=name), is_ready=ready, port=7)]
            )
        assert [(p.name, p.state, p.port) for p in read_parts(tmp_path)] == [(n, "ready", 7) for n in names]
        assert all(p.rss_bytes > 1_000_000 and p.uptime_s < DEADLINE_S for p in read_parts(tmp_path))

    supervise(tmp_path, [], test)
    assert order.read_text().split("\n")[:-1] == [
        *(f"start {name}" for name in names),
        *(f"stop {name}" for name in reversed(names)),
    ]
    assert read_parts(tmp_path) == ()


def test_a_killed_part_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    async def test(supervisor: Supervisor) -> None:
        await supervisor.start([part("worker"), part("other")])
        other = status(tmp_path, "other").pid
        for restarts in (1, 2):
            killed = status(tmp_path, "worker").pid
            os.kill(killed, signal.SIGKILL)
            await until(lambda n=restarts: status(tmp_path, "worker").restarts == n)
            await until(lambda: status(tmp_path, "worker").state == "ready")
            assert status(tmp_path, "worker").pid not in (0, killed)
        assert status(tmp_path, "other").pid == other

    supervise(tmp_path, said, test)
    log = tmp_path / "logs" / "worker.log"
    assert (
        f"worker ended unexpectedly (killed by SIGKILL); starting it again in 0.05 s. Its log is {log}."
        in said
    )
    assert "worker ended unexpectedly (killed by SIGKILL); starting it again in 0.1 s." in "\n".join(said)
    assert said.count("worker is ready again.") == 2


def test_a_part_that_keeps_failing_is_retried_ever_more_slowly(tmp_path: Path) -> None:
    said: list[str] = []
    runs_once = f"""
import pathlib, sys, time
if pathlib.Path({str(tmp_path / "ran")!r}).exists(): sys.exit(3)
pathlib.Path({str(tmp_path / "ran")!r}).touch(); time.sleep(0.2)
"""

    async def test(supervisor: Supervisor) -> None:
        await supervisor.start([part("worker", runs_once, is_ready=(tmp_path / "ran").exists)])
        await until(lambda: status(tmp_path, "worker").restarts == 4)

    supervise(tmp_path, said, test)
    delays = [line.split("again in ")[1].split(" s.")[0] for line in said if "again in" in line]
    assert delays[:4] == ["0.05", "0.1", "0.2", "0.2"]
    assert any("(exit code 3)" in line for line in said)


@settings(deadline=None)
@given(st.integers(1, 10_000))
def test_the_backoff_never_shrinks_nor_exceeds_its_limit(crashes: int) -> None:
    backoff = Backoff()
    assert backoff.delay_s(1) == 0.5
    assert backoff.delay_s(crashes) <= backoff.delay_s(crashes + 1) <= 30


def test_a_part_that_ends_before_it_is_ready_fails_the_start(tmp_path: Path) -> None:
    async def test(supervisor: Supervisor) -> None:
        code = "print('no such setting'); raise SystemExit(7)"
        with pytest.raises(PartError, match=r"broken ended before it was ready \(exit code 7\)") as failed:
            await supervisor.start([part("good"), part("broken", code, is_ready=lambda: False)])
        assert str(tmp_path / "logs" / "broken.log") in failed.value.remedy
        assert tail(failed.value.log) == ["no such setting"]

    supervise(tmp_path, [], test)


def test_a_part_that_is_never_ready_fails_the_start_and_is_stopped(tmp_path: Path) -> None:
    async def test(supervisor: Supervisor) -> None:
        slow = part("slow", is_ready=lambda: False, start_deadline_s=0.3)
        with pytest.raises(PartError, match=r"slow was not ready within 0\.3 s"):
            await supervisor.start([slow])
        assert status(tmp_path, "slow").pid == 0 or not psutil.pid_exists(status(tmp_path, "slow").pid)

    supervise(tmp_path, [], test)


def test_a_command_that_does_not_exist_and_a_failed_preparation_are_errors_of_the_part(
    tmp_path: Path,
) -> None:
    def no_storage() -> None:
        raise KeytrailError("The disk is full.")

    async def test(supervisor: Supervisor) -> None:
        with pytest.raises(PartError, match="ghost cannot be started"):
            await supervisor.start([Part("ghost", ("/nowhere/ghost",))])
        with pytest.raises(KeytrailError, match="The disk is full"):
            await supervisor.start([part("full", before_start=no_storage)])
        with pytest.raises(PartError, match="unwritable cannot be started"):
            await supervisor.start([part("unwritable", before_start=lambda: Path("/proc/none").mkdir())])

    supervise(tmp_path, [], test)


def test_a_part_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    said: list[str] = []
    children: list[psutil.Process] = []

    async def test(supervisor: Supervisor) -> None:
        stubborn = part(
            "stubborn", PARENT + STUBBORN, is_ready=says_up(tmp_path, "stubborn"), stop_deadline_s=0.2
        )
        await supervisor.start([stubborn])
        me = psutil.Process(status(tmp_path, "stubborn").pid)
        children.extend([me, *me.children()])

    supervise(tmp_path, said, test)
    assert len(children) == 2
    psutil.wait_procs(children, DEADLINE_S)
    assert not any(child.is_running() for child in children)
    assert "stubborn did not stop within 0.2 s and was killed." in said


def test_what_a_crashed_part_left_running_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "messy.log"

    async def test(supervisor: Supervisor) -> None:
        code = PARENT + "print(child.pid, flush=True); child.wait()"
        await supervisor.start([part("messy", code, is_ready=lambda: bool(tail(log)))])
        left_over = psutil.Process(int(tail(log)[0]))
        os.kill(status(tmp_path, "messy").pid, signal.SIGKILL)
        await until(lambda: all_gone([left_over]))

    supervise(tmp_path, [], test)


def test_the_warden_kills_what_does_not_stop_in_time(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    (tmp_path / "stack.json").touch()
    held = lock.acquire(tmp_path)
    warden = Warden(held.fd, [tmp_path / "stack.json"], grace_s=0.2)
    warden.watch(process.pid)
    warden.dismiss()
    assert process.wait(DEADLINE_S) == -signal.SIGKILL
    assert not (tmp_path / "stack.json").exists()
    process.stdout.close()
    held.release()


def test_a_chore_runs_once_and_does_not_outlive_the_parts(tmp_path: Path) -> None:
    async def test(supervisor: Supervisor) -> None:
        supervisor.start_chore(part("short", "print('done')"))
        supervisor.start_chore(part("long"))
        await until(lambda: tail(tmp_path / "logs" / "short.log") == ["done"])
        await until(lambda: tail(tmp_path / "logs" / "long.log") == ["up"])
        assert read_parts(tmp_path) == ()

    before = set(psutil.Process().children())
    supervise(tmp_path, [], test)
    assert set(psutil.Process().children()) <= before


def test_the_wardens_place_is_taken_when_it_is_killed(tmp_path: Path) -> None:
    before = set(psutil.Process().children())

    def own() -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if child not in before]

    async def test(supervisor: Supervisor) -> None:
        (warden,) = own()
        warden.kill()
        await until(lambda: all_gone([warden]))
        await supervisor.start([part("worker")])
        assert len([child for child in own() if not all_gone([child])]) == 2

    supervise(tmp_path, [], test)
    assert not own()


def test_output_goes_to_a_log_that_is_rotated_by_size(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "logs" / "part.log", max_bytes=100, keep=2)
    for number in range(10):
        log.write(f"{number}".encode() * 39 + b"\n")
    log.close()
    kept = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert sorted(kept) == ["part.log", "part.log.1", "part.log.2"]
    assert all(len(text) <= 100 for text in kept.values())
    assert "".join(kept[f"part.log{end}"] for end in (".2", ".1", "")) == "".join(
        f"{number}" * 39 + "\n" for number in range(4, 10)
    )
    RotatingLog(tmp_path / "logs" / "part.log", max_bytes=100, keep=2).close()
    assert (tmp_path / "logs" / "part.log").read_text() == kept["part.log"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_drops_a_logs_lines_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "part.log").symlink_to("/dev/full")
    log = RotatingLog(tmp_path / "part.log")
    log.write(b"lost\n")
    log.close()


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be used as data directory"):
        lock.acquire(tmp_path / "file" / "data")


def test_the_lock_waits_out_a_glance_and_refuses_a_stack(tmp_path: Path) -> None:
    assert lock.holder(tmp_path) is None
    held = lock.acquire(tmp_path / "data")
    assert lock.holder(tmp_path / "data") == os.getpid()
    with pytest.raises(
        UsageError, match=rf"A stack already runs on {tmp_path / 'data'} \(pid {os.getpid()}\)"
    ):
        lock.acquire(tmp_path / "data")
    held.release()
    assert lock.holder(tmp_path / "data") is None
    lock.acquire(tmp_path / "data").release()
