"""Starting stacks as programs, and waiting for what they do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from waiting import DEADLINE_S, wait_until

PROGRAM = Path(__file__).with_name("stack_program.py")
ALL_EXTERNAL = {
    "KEYTRAIL_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "KEYTRAIL_REGISTRY_URL": "http://127.0.0.1:1",
    "KEYTRAIL_CLICKHOUSE_URL": "http://127.0.0.1:1",
}
ONLY_CLICKHOUSE_EXTERNAL = {"KEYTRAIL_CLICKHOUSE_URL": "http://127.0.0.1:1"}
SLEEPER = "import time; print('up', flush=True); time.sleep(3600)"


def clean_env(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anybody's keytrail settings."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("KEYTRAIL_")}, **more}


def program(data_dir: Path, *flags: str) -> list[str]:
    return [sys.executable, str(PROGRAM), "--data-dir", str(data_dir), *flags]


def apps(**code: str) -> tuple[str, str]:
    return ("--apps", json.dumps(list(code.items())))


@dataclass
class RunningStack:
    """A stack that runs in the foreground of a process of ours."""

    process: subprocess.Popen[bytes]
    data_dir: Path

    @property
    def addresses(self) -> dict[str, str]:
        return dict(json.loads((self.data_dir / "stack.json").read_text()))

    @property
    def bootstrap(self) -> str:
        return self.addresses["kafka_bootstrap"]

    @property
    def registry_url(self) -> str:
        return self.addresses["registry_url"]

    def parts(self) -> dict[str, dict[str, object]]:
        return {part["name"]: part for part in json.loads((self.data_dir / "parts.json").read_text())}

    def part_pid(self, name: str) -> int:
        return int(str(self.parts()[name]["pid"]))

    def is_ready(self, name: str) -> bool:
        return self.parts()[name]["state"] == "ready"

    def said(self) -> str:
        return (self.data_dir / "stderr.txt").read_text()

    def log(self, name: str) -> str:
        return (self.data_dir / "logs" / f"{name}.log").read_text()

    def family(self) -> list[psutil.Process]:
        """The supervisor's children and theirs, the warden too."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE_S)


def start_stack(data_dir: Path, env: Mapping[str, str], *flags: str) -> RunningStack:
    """Returns once `stack.json` is there; its stderr is in `stderr.txt`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            program(data_dir, *flags),
            env=clean_env(env),
            cwd=data_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    stack = RunningStack(process, data_dir)
    stack_file = data_dir / "stack.json"

    def settled() -> bool:
        assert process.poll() is None, stack.said()
        return stack_file.exists() and json.loads(stack_file.read_text())["pid"] == str(process.pid)

    wait_until(settled, "the stack is ready")
    return stack


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
