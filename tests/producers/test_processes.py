"""The SDK in processes of its own: forked ones, and one that has little memory."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scratch_stack import running_stack
from topic_reading import read_events

from keytrail.deploy.embedded.state import read_parts
from keytrail.producers.spool import Spool
from keytrail.schemas.settings import Settings

HEAD = """
import json, os, sys
from pathlib import Path
from keytrail.producers import AuditTrail
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

url = HttpSettings(sys.argv[2])
settings = Settings(Path("."), KafkaSettings(sys.argv[1]), url, url)
spool = Path(sys.argv[3]) if sys.argv[3:] and sys.argv[3] != "--stops" else None
"""

FORKED = """
trail = AuditTrail("billing", settings=settings, spool=spool)
for _ in range(100):
    trail.login(key=None, actor="parent")
pid = os.fork()
for _ in range(100):
    trail.login(key=None, actor="parent" if pid else "child")
if not pid:
    sys.stdout.write(json.dumps(["child", trail.producer_id]) + "\\n")
    sys.stdout.flush()
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
sys.stdout.write(json.dumps(["parent", trail.producer_id]) + "\\n")
"""

POOLED = """
import multiprocessing
trail = AuditTrail("billing", settings=settings, spool=spool)
trail.login(key=None, actor="parent")

def work(out):
    for _ in range(50):
        trail.login(key=None, actor="child")
    out.put(trail.producer_id)
    trail.close()

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    out = context.SimpleQueue()
    workers = [context.Process(target=work, args=(out,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        sys.stdout.write(json.dumps(["child", out.get()]) + "\\n")
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
"""

FORKED_AND_IDLE = """
import time
trail = AuditTrail("billing", settings=settings, spool=spool)
trail.login(key=None, actor="parent")
while not trail.stats().spooled:
    time.sleep(0.01)
# The child tells: what it does after the fork is then done.
if not os.fork():
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
time.sleep(600)
"""

GROWING = """
import time

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)

trail = AuditTrail("billing", settings=settings, spool=spool, spool_bytes=16 << 20)
if stops := "--stops" in sys.argv:
    # Kafka was there, and is stopped by whoever reads this.
    for number in range(20_000):
        trail.login(key=None, actor="anna", after="x" * 1_000)
        if number % 1_000 == 0:
            while trail.stats().waiting + trail.stats().spooled > 5_000:
                time.sleep(0.01)
    while trail.stats().delivered < 20_000:
        time.sleep(0.01)
    sys.stdout.write("0\\n")
    sys.stdout.flush()
    sys.stdin.readline()
trail.login(key=None, actor="anna")
before = most = resident_mib()
for number in range(10_000):
    trail.login(key=None, actor="anna", after="x" * (100_000 if number % 10 == 0 else 100))
    most = max(most, resident_mib())
trail.close(1)
stats = trail.stats()
assert stops or stats.recorded == stats.lost + stats.spooled, stats
assert stats.lost, stats
sys.stdout.write(json.dumps(most - before) + "\\n")
os._exit(0)
"""

NOBODY_LISTENS = "127.0.0.1:1"


def said(program: str, *arguments: str) -> list[Any]:
    command = [sys.executable, "-c", HEAD + program, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert finished.stdout, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.parametrize(("program", "counts"), [(FORKED, [100, 200]), (POOLED, [50, 50])])
@pytest.mark.parametrize("spooled", [False, True])
def test_a_forked_child_is_a_run_of_its_own(
    settings: Settings, tmp_path: Path, program: str, counts: list[int], spooled: bool
) -> None:
    spool = [str(tmp_path)] if spooled else []
    runs = said(program, settings.kafka.bootstrap, settings.registry.url, *spool)

    for (actor, producer_id), count in zip(runs, counts, strict=True):
        found = sorted(
            (one for _, one in read_events(settings, producer_id, count)), key=lambda e: e.sequence
        )
        assert [one.sequence for one in found] == list(range(1, count + 1))
        assert {one.actor_id for one in found} == {actor}
    assert len({producer_id for _, producer_id in runs}) == 2


@pytest.mark.parametrize("spooled", [False, True])
def test_memory_is_bounded_while_kafka_is_away(tmp_path: Path, spooled: bool) -> None:
    spool = [str(tmp_path)] if spooled else []
    [grown] = said(GROWING, NOBODY_LISTENS, f"http://{NOBODY_LISTENS}", *spool)
    assert grown < 64


@pytest.mark.parametrize("spooled", [False, True])
def test_memory_is_bounded_when_kafka_stops_answering(tmp_path: Path, spooled: bool) -> None:
    """A broker that hangs keeps its connections: what was sent into them waits as well."""
    spool = [str(tmp_path / "spool")] if spooled else []
    with running_stack(tmp_path / "data", workers=0, sinks=0) as settings:
        broker = next(part.pid for part in read_parts(settings.data_dir) if part.name == "kafka")
        assert broker
        arguments = [settings.kafka.bootstrap, settings.registry.url, *spool, "--stops"]
        command = [sys.executable, "-c", HEAD + GROWING, *arguments]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "0\n"
            os.kill(broker, signal.SIGSTOP)
            try:
                process.stdin.write("go on\n")
                process.stdin.flush()
                grown = json.loads(process.stdout.readline())
            finally:
                os.kill(broker, signal.SIGCONT)
    assert grown < 64


def test_a_child_that_outlives_its_parent_does_not_hold_its_spool(tmp_path: Path) -> None:
    away = NOBODY_LISTENS, f"http://{NOBODY_LISTENS}", str(tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", HEAD + FORKED_AND_IDLE, *away], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait(60)
        spool = Spool(tmp_path, 4 << 20, "later", "billing:later")
        spool.adopt()
        assert len(spool.read(10)) == 1
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
