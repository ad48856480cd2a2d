"""Runs one part: launches it, waits until it is ready, and starts it again whenever it ends."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from keytrail.deploy.embedded.part import Backoff, Part
from keytrail.deploy.embedded.process import Process
from keytrail.deploy.embedded.state import PartState, State
from keytrail.deploy.embedded.threads import in_thread
from keytrail.schemas.errors import KeytrailError

_POLL_S = 0.05


class PartError(KeytrailError):
    """A part could not be started.  `log` is where it says more."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message, f"Its log is {log}.")
        self.log = log


class Runner:
    """To be used on one event loop: `launch`, `until_ready`, `keep_running`, and `stop` at any time.

    `changed` is called after each change of `state`.
    """

    def __init__(
        self,
        part: Part,
        log: Path,
        spawn: Callable[[], Process],
        report: Callable[[str], None],
        changed: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        self._part = part
        self._log = log
        self._spawn = spawn
        self._report = report
        self._changed = changed
        self._backoff = backoff
        self._process: Process | None = None  # the current or the last one
        self._launched_at = 0.0  # monotonic
        self._started_at = 0.0  # wall clock
        self._keeper: asyncio.Task[None] | None = None
        self.state = PartState(part.name, "starting", pid=0, restarts=0, port=part.port, started_at=0.0)

    async def launch(self) -> Process:
        """Starts the process.  Raises what `before_start` raises, and `PartError`."""
        self._set("starting")
        try:
            await in_thread(self._part.before_start)
            self._process = self._spawn()
        except OSError as error:
            raise PartError(f"{self._part.name} cannot be started: {error}.", self._log) from error
        self._launched_at, self._started_at = time.monotonic(), time.time()
        self._set("starting")
        return self._process

    async def until_ready(self, process: Process) -> None:
        """Raises `PartError` where the process ends first or takes too long; it is stopped then."""
        name = self._part.name
        ready = asyncio.create_task(self._ask_until_ready())
        ended = asyncio.create_task(process.exited())
        try:
            await asyncio.wait(
                (ready, ended), timeout=self._part.start_deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                raise PartError(f"{name} ended before it was ready ({ended.result()}).", self._log)
            if not ready.done():
                await process.stop(self._part.stop_deadline_s)
                raise PartError(f"{name} was not ready within {self._part.start_deadline_s:g} s.", self._log)
            await ready
        finally:
            ready.cancel()
            ended.cancel()
        self._set("ready")

    def keep_running(self, process: Process) -> None:
        """From now on the process is started again when it ends."""
        self._keeper = asyncio.create_task(self._keep_running(process))

    async def stop(self) -> None:
        """Stops the process, and no longer starts it; SIGKILL after the part's deadline."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is not None and not self._process.has_exited:
            self._set("stopping")
            if not await self._process.stop(self._part.stop_deadline_s):
                self._report(
                    f"{self._part.name} did not stop within {self._part.stop_deadline_s:g} s and was killed."
                )
        self._set("stopped")

    @property
    def seconds_since_launch(self) -> float:
        return time.monotonic() - self._launched_at

    async def _keep_running(self, process: Process) -> None:
        crashes = 0
        while True:
            how = await process.exited()
            crashes = 1 if self.seconds_since_launch >= self._backoff.healthy_s else crashes + 1
            delay_s = self._backoff.delay_s(crashes)
            self._report(
                f"{self._part.name} ended unexpectedly ({how}); starting it again in {delay_s:g} s."
                f" Its log is {self._log}."
            )
            self._set("waiting to restart", restarts=self.state.restarts + 1)
            await asyncio.sleep(delay_s)
            try:
                process = await self.launch()
                await self.until_ready(process)
            except KeytrailError as error:
                self._report(str(error))
            else:
                self._report(f"{self._part.name} is ready again.")

    async def _ask_until_ready(self) -> None:
        while not await in_thread(self._part.is_ready):
            await asyncio.sleep(_POLL_S)

    def _set(self, state: State, restarts: int | None = None) -> None:
        running = self._process is not None and not self._process.has_exited
        self.state = PartState(
            self._part.name,
            state,
            pid=self._process.pid if running and self._process else 0,
            restarts=self.state.restarts if restarts is None else restarts,
            port=self._part.port,
            started_at=self._started_at if running else 0.0,
        )
        self._changed()
