"""Starting anew after the disk was full.

Where the disk fills while the engine merges parts, ClickHouse 26.9 may put a merged part of empty files in
the place of its sources, and every read of it fails.  The sources stay on disk for eight minutes more
(`old_parts_lifetime`).  An engine that is opened anew sets the broken part aside and has the rows of its
sources again; `tests/faults/test_full_disk.py` shows it.  The old one must not be closed in an orderly way:
that would remove the sources.

It does the same with the part of an INSERT, reports success, and that part has no sources: its rows are gone
once the engine is opened anew.  So no write is acknowledged that ends while the disk is full, and none begins
before the new engine is there: of what the old one says is stored, nobody knows what is.
"""

import logging
import os
import shutil
import threading
from pathlib import Path

from keytrail.deploy.embedded.gateway.config import MIB
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode

_LOG = logging.getLogger("keytrail.gateway")
# Writing and opening files, and what the engine and the gateway know no code for.  Other errors may quote
# the statement, so that their text says nothing.
_OF_FILES = frozenset({75, 76, 1001, ErrorCode.UNKNOWN_EXCEPTION})
_DISK_IS_FULL = "No space left on device"
_ROOM_BYTES = 16 * MIB
_LOOK_S = 0.5
_EXIT_CODE = 75  # what sysexits.h calls a failure that passes


class Mender:
    """Sees that the disk is full and, once it has room again, ends the process at once, as a kill would.

    Its supervisor starts the next one.  Thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="mender", daemon=True).start()

    def hear(self, error: EngineError) -> None:
        """A statement failed; most errors are of no interest here."""
        if (
            error.code == ErrorCode.CORRUPTED_DATA
            or (error.code in _OF_FILES and _DISK_IS_FULL in error.text)
            # A large part may find no room where a small one does.
            or (error.code == ErrorCode.NOT_ENOUGH_SPACE and not self._has_room())
        ):
            self._wanted.set()

    def before_writing(self) -> None:
        """Raises `EngineError` where this engine takes nothing more."""
        if self._wanted.is_set():
            raise EngineError.of(
                ErrorCode.NOT_ENOUGH_SPACE,
                "The disk was full, and the engine is started anew once there is room.",
            )

    def after_writing(self) -> None:
        """Raises `EngineError` where nobody can say whether what was written will stay."""
        if not self._has_room():
            self._wanted.set()
        if self._wanted.is_set():
            raise EngineError.of(
                ErrorCode.UNKNOWN_STATUS_OF_INSERT,
                "There was no disk space left when this ended. "
                "What of it is stored can be seen once there is room and the engine was started anew.",
            )

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._folder).free >= _ROOM_BYTES

    def _run(self) -> None:
        while not self._wanted.wait(_LOOK_S):
            if not self._has_room():  # a merge may be cut off, and nobody hears of it
                self._wanted.set()
        pause = threading.Event()
        while not self._has_room():
            pause.wait(_LOOK_S)
        _LOG.warning("The disk was full: the engine is started anew, in case a part was cut off.")
        logging.shutdown()
        os._exit(_EXIT_CODE)
