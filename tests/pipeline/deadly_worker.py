"""A worker that dies, as of a crash in native code, when it judges the event whose reason says so."""

import os
import signal

from keytrail.cli.main import main
from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.stages.judging import Judge

WORD = "deadly"
_judge = Judge.by_itself


def judge(self: Judge, event: Event, key: KeyAtEvent) -> list[Verdict]:
    if event.reason == WORD:
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(self, event, key)


if __name__ == "__main__":
    import sys

    Judge.by_itself = judge  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
