"""A small batch waits a moment after the commit before it; a large one and closing end the wait."""

import asyncio
from types import SimpleNamespace

import pytest

from keytrail.stream.reading.source import Record
from keytrail.stream.worker import partition_task
from keytrail.stream.worker.partition_task import EventTask

_LONG_S = 3600.0


def _task(rested_in_s: float, batch_records: int = 10_000) -> EventTask:
    # Of a task only what its rest needs: a real one would open its partition in Kafka.
    task = object.__new__(EventTask)
    vars(task)["_context"] = SimpleNamespace(batch_records=batch_records)
    task._closed = False
    task._inbox = [Record(0, b"")]
    task._has_work = asyncio.Event()
    task._rested_at = asyncio.get_running_loop().time() + rested_in_s
    return task


def test_what_comes_meanwhile_does_not_end_the_rest() -> None:
    async def rest() -> None:
        task = _task(_LONG_S)
        resting = asyncio.ensure_future(task._rest())
        for offset in range(1, 10):
            task._inbox.append(Record(offset, b""))
            task._has_work.set()
            await asyncio.sleep(0)
        assert not resting.done()
        resting.cancel()

    asyncio.run(rest())


def test_a_large_batch_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_task, "_LARGE_BATCH", 10)

    async def rest() -> None:
        task = _task(_LONG_S)
        resting = asyncio.ensure_future(task._rest())
        await asyncio.sleep(0)
        task._inbox.extend(Record(offset, b"") for offset in range(1, 10))
        task._has_work.set()
        await asyncio.wait_for(resting, 30)

    asyncio.run(rest())


def test_closing_ends_the_rest() -> None:
    async def rest() -> None:
        task = _task(_LONG_S)
        resting = asyncio.ensure_future(task._rest())
        await asyncio.sleep(0)
        task._closed = True
        task._has_work.set()
        await asyncio.wait_for(resting, 30)

    asyncio.run(rest())


def test_long_after_a_commit_nothing_waits() -> None:
    async def rest() -> None:
        await asyncio.wait_for(_task(-1.0)._rest(), 30)

    asyncio.run(rest())


def test_a_full_inbox_ends_the_rest_however_little_fits_in() -> None:
    async def rest() -> None:
        await asyncio.wait_for(_task(_LONG_S, batch_records=1)._rest(), 30)

    asyncio.run(rest())


def test_what_a_batch_leaves_in_the_inbox_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle() -> None:
        task = _task(0.01, batch_records=3)
        task._inbox = [Record(0, b""), Record(1, b"")]
        task._next_offset, task._committing = 0, None
        task._has_room = asyncio.Event()
        vars(task)["_opened"] = asyncio.get_running_loop().create_future()
        vars(task)["_opened"].set_result(None)
        done: list[int] = []

        async def process(records: list[Record]) -> list[object]:
            done.extend(record.offset for record in records)
            return []

        async def submit(_outgoing: object, _next: int) -> None: ...

        vars(task).update(_process=process, _submit=submit)
        # One fits in, and the rest has gone by: the other is left.
        monkeypatch.setattr(task, "_batch", lambda: (task._inbox[:1], task._inbox[1:]))
        await task._handle_next()
        assert done == [0]
        assert task._has_work.is_set()

    asyncio.run(handle())
