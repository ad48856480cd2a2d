"""A commit from which Kafka's client does not come back ends the worker, instead of holding it for ever."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from keytrail.schemas.topics import EVENTS
from keytrail.stream.errors import StuckError
from keytrail.stream.worker import partition_task
from keytrail.stream.worker.partition_task import EventTask


def test_a_commit_that_does_not_return_is_an_error_that_names_the_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_task, "_STUCK_S", 0.01)
    released = threading.Event()
    # Of a task only what its commit needs: a real one would open its partition in Kafka.
    task = object.__new__(EventTask)
    task.source, task.partition = EVENTS, 3
    vars(task)["_writer"] = SimpleNamespace(commit=lambda _outgoing, _offset: released.wait(30))
    failures: list[BaseException] = []
    vars(task)["_context"] = SimpleNamespace(on_failure=failures.append)
    task._closed = True  # even one that is closed: nothing else would end the process

    async def commit() -> None:
        work = asyncio.ensure_future(task._commit([], 7))
        work.add_done_callback(task._report)
        try:
            await asyncio.wait([work])
        finally:
            released.set()

    asyncio.run(commit())
    [error] = failures
    assert isinstance(error, StuckError)
    assert "keytrail.events/3" in str(error)
