"""One running process of a part, in a process group of its own, with its output in a log."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import RawIOBase

from keytrail.deploy.embedded.logs import RotatingLog
from keytrail.deploy.embedded.threads import in_thread
from keytrail.deploy.embedded.warden import Warden

_READ_BYTES = 1 << 16
_LAST_OUTPUT_S = 2.0


class Process:
    """Made with `start`; ends by itself or by `stop`.  To be used on one event loop."""

    def __init__(
        self, popen: subprocess.Popen[bytes], output: RawIOBase, log: RotatingLog, warden: Warden
    ) -> None:
        self._popen = popen
        self._log = log
        self._warden = warden
        self._pump = asyncio.create_task(self._copy_output(output))
        self._exit = asyncio.create_task(self._reap())

    @classmethod
    def start(
        cls, command: Sequence[str], env: Mapping[str, str], log: RotatingLog, warden: Warden
    ) -> "Process":
        """Raises `OSError` where the command cannot be run."""
        read_end, write_end = os.pipe()
        output = os.fdopen(read_end, "rb", buffering=0)
        try:
            popen = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            output.close()
            raise
        finally:
            os.close(write_end)
        warden.watch(popen.pid)
        return cls(popen, output, log, warden)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_exited(self) -> bool:
        return self._exit.done()

    async def exited(self) -> str:
        """Waits for the end; returns how it ended, in words."""
        return describe_exit(await asyncio.shield(self._exit))

    async def stop(self, deadline_s: float) -> bool:
        """SIGTERM, and SIGKILL to the whole group after `deadline_s`; whether SIGTERM was enough."""
        with suppress(ProcessLookupError):
            self._popen.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self._exit), deadline_s)
        except TimeoutError:
            self._kill_group()
            await self._exit
            return False
        return True

    async def _reap(self) -> int:
        code = await in_thread(self._popen.wait)
        self._kill_group()  # what the process may have left behind
        self._warden.forget(self._popen.pid)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pump, _LAST_OUTPUT_S)
        self._log.close()
        return code

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    async def _copy_output(self, output: RawIOBase) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), output
        )
        try:
            while data := await reader.read(_READ_BYTES):
                self._log.write(data)
        finally:
            transport.close()


def describe_exit(code: int) -> str:
    """In words: `exit code 1`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
