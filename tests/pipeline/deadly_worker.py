"""A worker that dies, as of a crash in native code, when it reads the event whose reason says so."""

import os
import signal

from keytrail.cli.main import main
from keytrail.stream.reading import EventReader, Readable, Unreadable
from keytrail.stream.source import SourceRecord

WORD = "deadly"
_read = EventReader.read


def read(self: EventReader, record: SourceRecord) -> Readable | Unreadable:
    found = _read(self, record)
    if isinstance(found, Readable) and found.event.reason == WORD:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


if __name__ == "__main__":
    import sys

    EventReader.read = read  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
