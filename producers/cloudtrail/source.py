"""CloudTrail logs as a stream of events: files found, read, cut into records, mapped."""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from keytrail.producers.cloudtrail.files import STDIN, find_files, read_text
from keytrail.producers.cloudtrail.mapping import RecordError, event_from
from keytrail.producers.cloudtrail.reading import Problem, read_records
from keytrail.schemas.records import Event


def read_events(
    paths: Iterable[Path], stdin: BufferedReader, report: Callable[[Problem], None]
) -> Iterator[Event]:
    """The events in files, folders and standard input (`-`), in order, in bounded memory.

    Each record gives one event or one `report`.  Raises `UsageError`, at once, for a path that
    is not there.
    """
    return _events(find_files(paths), stdin, report)


def _events(
    files: Iterable[Path], stdin: BufferedReader, report: Callable[[Problem], None]
) -> Iterator[Event]:
    for path in files:
        name = "standard input" if path == STDIN else str(path)
        for found in read_records(name, read_text(path, stdin)):
            if isinstance(found, Problem):
                report(found)
                continue
            try:
                event = event_from(found.record)
            except RecordError as error:
                report(Problem(found.place, error.message))
            else:
                yield event
