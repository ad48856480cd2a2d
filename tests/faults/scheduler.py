"""Carries faults out one after another, and lets each end in its time."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from monitor import Monitor, Recovery
from plan import KILL, PAUSE, Fault
from proxy import Mode
from stack import FaultStack

RECOVERY_DEADLINE_S = 180.0
_PART_DEADLINE_S = 60.0
_DELAY_S = (0.05, 0.4)


class NoRecoveryError(AssertionError):
    """A fault after which nothing went on."""


@dataclass(frozen=True)
class Happened:
    fault: Fault
    recovery: Recovery


class Scheduler:
    """Runs in the calling thread; faults that last end in threads of their own."""

    def __init__(self, stack: FaultStack, monitor: Monitor, seed: int, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._monitor = monitor
        self._dice = Random(seed)
        self._say = say
        self._lasting: list[threading.Thread] = []
        self._under: dict[str, int] = {}

    def run(self, faults: list[Fault]) -> list[Happened]:
        """Raises `NoRecoveryError`.  When it returns, no fault lasts and all have recovered."""
        happened = []
        for fault in faults:
            one = Happened(fault, self._begin(fault))
            happened.append(one)
            if not fault.overlaps:
                self._await(happened)
            time.sleep(fault.gap_s)
        for thread in self._lasting:
            thread.join()
        self._await(happened)
        return happened

    def _await(self, happened: list[Happened]) -> None:
        for one in happened:
            if not self._monitor.wait(one.recovery, RECOVERY_DEADLINE_S + one.fault.lasts_s):
                raise NoRecoveryError(f"no progress {RECOVERY_DEADLINE_S:.0f} s after {one.fault}")

    def _begin(self, fault: Fault) -> Recovery:
        if fault.target in self._stack.proxies:
            recovery = self._monitor.begin()
            self._misuse(fault)
        else:
            pid = self._pid(fault.target)
            recovery = self._monitor.begin()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if fault.kind == KILL else signal.SIGSTOP)
            if fault.kind == PAUSE:
                self._later(fault.lasts_s, lambda: self._let_go_on(fault.target, pid))
        self._say(f"{time.strftime('%H:%M:%S')} {fault}; {self._monitor.rows} rows")
        return recovery

    def _misuse(self, fault: Fault) -> None:
        proxy, loop = self._stack.proxies[fault.target], self._stack.loop
        loop.call(proxy.set(Mode(fault.kind), self._dice.uniform(*_DELAY_S)))
        self._under[fault.target] = fault.number

        def end() -> None:
            if self._under[fault.target] == fault.number:  # no later fault holds on this link
                loop.call(proxy.set(Mode.PASS))

        self._later(fault.lasts_s, end)

    def _let_go_on(self, name: str, pid: int) -> None:
        """The process that was stopped, if it is still that part."""
        if self._stack.parts()[name].pid == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _pid(self, name: str) -> int:
        """The part's process, once it has one."""
        deadline = time.monotonic() + _PART_DEADLINE_S
        while not (pid := self._stack.parts()[name].pid):
            if time.monotonic() > deadline:
                raise NoRecoveryError(f"{name} has not come back within {_PART_DEADLINE_S:.0f} s")
            time.sleep(0.05)
        return pid

    def _later(self, delay_s: float, end: Callable[[], None]) -> None:
        thread = threading.Timer(delay_s, end)
        thread.daemon = True
        thread.start()
        self._lasting.append(thread)
