"""A worker in which one batch of events that was fetched gets lost before its partition's task has it."""

from keytrail.cli.main import main
from keytrail.schemas.topics import EVENTS
from keytrail.stream.worker.group_member import FetchedBatch
from keytrail.stream.worker.partition_task import PartitionTask

LOST = 1
_take = PartitionTask.take


async def take(self: PartitionTask, batch: FetchedBatch) -> None:
    if self.source != EVENTS or batch.number != LOST:
        await _take(self, batch)


if __name__ == "__main__":
    import sys

    PartitionTask.take = take  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
