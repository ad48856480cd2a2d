"""Starts the stack's parts, keeps them running, and stops them in reverse order."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from keytrail.deploy.embedded.logs import RotatingLog
from keytrail.deploy.embedded.part import Backoff, Part
from keytrail.deploy.embedded.process import Process
from keytrail.deploy.embedded.runner import Runner
from keytrail.deploy.embedded.state import PARTS_FILE, write_parts
from keytrail.deploy.embedded.warden import Warden

LOGS = "logs"


class Supervisor:
    """Runs parts for one data directory: their output under `logs/`, their state in `parts.json`.

    `report` takes what a person should know, a line a call.  To be used on one event loop.
    """

    def __init__(
        self,
        data_dir: Path,
        warden: Warden,
        report: Callable[[str], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._data_dir = data_dir
        self._warden = warden
        self._report = report
        self._backoff = backoff or Backoff()
        self._runners: list[Runner] = []
        self._chores: list[Process] = []

    async def start(self, parts: Sequence[Part]) -> None:
        """Launches each part in turn, without waiting for it; returns when all are ready.

        From then on a part that ends is started again.  Raises what a part's `before_start` raises,
        and `PartError` for one that ends or is not ready in time; `stop` is still to be called then.
        """
        launched: list[asyncio.Task[None]] = []
        try:
            for part in parts:
                runner = self._runner(part)
                self._runners.append(runner)
                process = await runner.launch()
                launched.append(asyncio.create_task(self._bring_up(part, runner, process)))
            await asyncio.gather(*launched)
        finally:
            for task in launched:
                task.cancel()
            await asyncio.gather(*launched, return_exceptions=True)

    def start_chore(self, part: Part) -> None:
        """Runs `part` once, beside the others; it may fail.  It is killed when the others are to stop."""
        self._chores.append(self._spawn(part))

    async def stop(self) -> None:
        """Stops every part, the last started first, each within its deadline."""
        for chore in self._chores:
            await chore.stop(deadline_s=0)
        for runner in reversed(self._runners):
            await runner.stop()
        with suppress(FileNotFoundError):
            (self._data_dir / PARTS_FILE).unlink()

    async def _bring_up(self, part: Part, runner: Runner, process: Process) -> None:
        await runner.until_ready(process)
        where = f" on port {part.port}" if part.port else ""
        self._report(f"{part.name} is ready{where} ({runner.seconds_since_launch:.1f} s).")
        runner.keep_running(process)

    def _runner(self, part: Part) -> Runner:
        return Runner(
            part,
            self._log_path(part),
            lambda: self._spawn(part),
            self._report,
            self._publish,
            self._backoff,
        )

    def _spawn(self, part: Part) -> Process:
        return Process.start(part.command, part.env, RotatingLog(self._log_path(part)), self._warden)

    def _publish(self) -> None:
        with suppress(OSError):  # a full disk is no reason to leave the parts alone
            write_parts(self._data_dir, [runner.state for runner in self._runners])

    def _log_path(self, part: Part) -> Path:
        return self._data_dir / LOGS / f"{part.name}.log"
