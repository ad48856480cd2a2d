"""Has each reader's statement written to the query log, before it runs and when it is over."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from keytrail.deploy.embedded.gateway.engine import Outcome
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.query_log import Asker, QueryLog
from keytrail.schemas.query_log import Ended

_LOG = logging.getLogger("keytrail.gateway")
_REFUSALS = (ErrorCode.READONLY, ErrorCode.ACCESS_DENIED)

Succeeded: TypeAlias = Callable[[Outcome], None]


class Auditing:
    """For one gateway, on its event loop."""

    def __init__(self, log: QueryLog) -> None:
        self._log = log

    @asynccontextmanager
    async def of(self, asker: Asker, text: bytes) -> AsyncIterator[Succeeded]:
        """Around the run of a statement; the caller says with what it succeeded.

        Raises `OSError` before the statement runs, where it cannot be written down.
        """
        query_id = await asyncio.to_thread(self._log.begin, asker, text)
        result: list[Outcome] = []
        outcome, code = "failure", ErrorCode.ABORTED.value  # where the client goes away
        try:
            yield result.append
        except EngineError as error:
            outcome = "denied" if error.code in _REFUSALS else "failure"
            code = error.code
            raise
        else:
            outcome, code = "success", 0
        finally:
            rows, read = (result[0].result_rows, result[0].read_rows) if result else (0, 0)
            self._end(Ended(query_id, time.time_ns() // 1000, outcome, code, rows, read))

    def _end(self, ended: Ended) -> None:
        # Not waited for: the request may be one that is being cancelled.
        written = asyncio.get_running_loop().run_in_executor(None, self._log.end, ended)
        written.add_done_callback(_tell)


def _tell(written: "asyncio.Future[None]") -> None:
    if (error := written.exception()) is not None:
        _LOG.error("the end of a reader's statement could not be written down: %s", error)
