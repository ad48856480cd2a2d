"""The embedded stack in the foreground: engines, then `prepare`, then the applications, until a signal."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from keytrail.deploy.embedded import lock
from keytrail.deploy.embedded.engines import Engines, plan_engines
from keytrail.deploy.embedded.logs import tail
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import Ports
from keytrail.deploy.embedded.runner import PartError
from keytrail.deploy.embedded.state import PARTS_FILE, write_atomically
from keytrail.deploy.embedded.supervisor import Supervisor
from keytrail.deploy.embedded.threads import in_thread
from keytrail.deploy.embedded.warden import Warden
from keytrail.schemas.masters import write_secret
from keytrail.schemas.settings import STACK_FILE, Settings, load_settings

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Prepare = Callable[[Settings], None]
Report = Callable[[str], None]
Ready = Callable[[Mapping[str, str]], None]


def run_stack(
    data_dir: Path,
    ports: Ports,
    apps: Sequence[Part],
    prepare: Prepare,
    report: Report,
    ready: Ready,
) -> None:
    """Runs the stack until SIGINT, SIGTERM or SIGHUP; everything has stopped when it returns or raises.

    `prepare` runs once the engines are ready and before the apps start (in a thread); the apps' environment
    names the engines (`KEYTRAIL_KAFKA_BOOTSTRAP`, ...) and `KEYTRAIL_DATA_DIR`.  `ready` is called
    with the addresses once `stack.json` is written.  Must be called on the main thread.

    Raises `UsageError` where a stack already runs on this directory or a port is taken, `PartError`
    for a part that does not start, and whatever `prepare` raises.
    """
    held = lock.acquire(data_dir)
    try:
        engines = plan_engines(data_dir, ports, report)
        warden = Warden(held.fd, [data_dir / STACK_FILE, data_dir / PARTS_FILE])
        try:
            asyncio.run(_Stack(data_dir, engines, apps, prepare, report, ready, warden).run())
        finally:
            warden.dismiss()
    finally:
        held.release()


class _Stack:
    def __init__(
        self,
        data_dir: Path,
        engines: Engines,
        apps: Sequence[Part],
        prepare: Prepare,
        report: Report,
        ready: Ready,
        warden: Warden,
    ) -> None:
        self._data_dir = data_dir
        self._engines = engines
        self._apps = apps
        self._prepare = prepare
        self._report = report
        self._ready = ready
        self._supervisor = Supervisor(data_dir, warden, report)

    async def run(self) -> None:
        stop = asyncio.Event()
        # One that is ignored stays so: `nohup` means it.
        for number in (number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        start = asyncio.create_task(self._start())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((start, stopped), return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stopped
            self._report("Stopping the stack.")
        except PartError as error:
            for line in tail(error.log):
                self._report(f"  {line}")
            raise
        finally:
            start.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await start
            with suppress(FileNotFoundError):
                (self._data_dir / STACK_FILE).unlink()
            await self._supervisor.stop()

    async def _start(self) -> None:
        await self._supervisor.start(self._engines.parts)
        settings = load_settings(
            data_dir=self._data_dir,
            kafka=self._engines.kafka_bootstrap,
            registry=self._engines.registry_url,
            clickhouse=self._engines.clickhouse_url,
            env={**os.environ, **self._engines.env},
        )
        await in_thread(lambda: self._prepare(settings))
        env = {"KEYTRAIL_DATA_DIR": str(self._data_dir), **self._engines.env}
        await self._supervisor.start([replace(app, env={**env, **app.env}) for app in self._apps])
        addresses = dict(self._engines.addresses)
        for app in self._apps:
            addresses |= app.addresses
        stack = {**addresses, "pid": str(os.getpid())}
        write = write_secret if self._engines.clickhouse_password else write_atomically
        write(self._data_dir / STACK_FILE, json.dumps(stack, indent=1) + "\n")
        self._ready(addresses)
        for chore in self._engines.chores:
            self._supervisor.start_chore(chore)
