"""What a target refuses, and what is no finding: a file of JSON lines, one a record."""

import base64
import json
import os
from pathlib import Path

from keytrail.sinks.cluster import Place


class RefusedFile:
    """Appends, and has it on disk when `keep` returns.  Not thread-safe; raises `OSError` where it cannot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def keep(self, place: Place, offset: int, why: str, message_id: str, value: bytes) -> None:
        line = {
            "topic": place.topic,
            "partition": place.partition,
            "offset": offset,
            "why": why,
            "webhook_id": message_id,
            "value": base64.b64encode(value).decode(),
        }
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps(line).encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        self.count += 1
