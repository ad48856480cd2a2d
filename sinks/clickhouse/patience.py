"""Waiting for what is away: ever longer between the tries, told ever less often, ended by a stop."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.sinks.clickhouse.errors import StoppedError
from keytrail.sinks.clickhouse.failures import Failure, failure
from keytrail.sinks.clickhouse.http import RefusedError

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 15.0
_log = logging.getLogger("keytrail.sink")

Answer = TypeVar("Answer")


class Patience:
    """Waits between tries.  Thread-safe; `stop` ends every wait, now and later."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Raises `StoppedError` once `stop` was called."""
        if self._stopped.wait(seconds):
            raise StoppedError("The sink is stopping.")

    def after(self, failures: int) -> None:
        """The wait before the next try, after so many failures in a row; none after none."""
        if failures:
            self.wait(min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 16), _LONGEST_WAIT_S))

    def until_answered(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """Asks until there is an answer.

        Raises what `ask` raises, unless it may work later; and `StoppedError`.
        """
        failures = 0
        while True:
            try:
                return ask()
            except UnavailableError as error:
                problem: KeytrailError = error
            except RefusedError as error:
                if failure(error) is Failure.LASTING:
                    raise
                problem = error
            failures += 1
            tell(what, failures, problem)
            self.after(failures)


def tell(what: str, failures: int, problem: KeytrailError) -> None:
    """Logs the 1st, 2nd, 4th, 8th ... failure in a row."""
    if failures & (failures - 1) == 0:
        _log.warning("%s waits (failure %d): %s", what, failures, problem)
