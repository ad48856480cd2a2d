"""A worker that dies, as of a crash in native code, when it judges the event whose reason says so."""

import os
import signal

from keytrail.cli.main import main
from keytrail.schemas.records import Event
from keytrail.stream.judging import Judge
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.signals import SignalBook

WORD = "deadly"
_judge = Judge.event


def judge(self: Judge, event: Event, key: KeyAtEvent, book: SignalBook) -> list[str]:
    if event.reason == WORD:
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(self, event, key, book)


if __name__ == "__main__":
    import sys

    Judge.event = judge  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
