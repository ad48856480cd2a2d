"""The outside anchor: copies of checkpoints where whoever can write tables and topics cannot change them.

A file takes each note with an empty line behind it; a command gets the same text on its stdin.
"""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.errors import KeytrailError, UsageError

_COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Anchor:
    """Where copies go; either may be empty."""

    file: str = ""
    command: str = ""

    def put(self, notes: Sequence[str]) -> None:
        """When it returns, the file and the command have them.

        Raises `KeytrailError` where one does not take them; to give them again does no harm.
        """
        text = "".join(f"{note}\n" for note in notes).encode()
        if self.file and notes:
            _append(Path(self.file), text)
        if self.command and notes:
            _run(self.command, text)


def read_anchor(path: Path) -> list[str]:
    """The notes in an anchor's file; one whose writing was cut off at its end is left out.

    Raises `UsageError` for a file that cannot be read or has no note.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read ({type(error).__name__}).", "Name a file of checkpoints."
        ) from error
    if not text.endswith("\n\n") and text.endswith("\n"):
        text += "\n"  # the last one of `keytrail checkpoints list --notes`
    blocks = text.split("\n\n")
    notes = [f"{above}\n\n{below}\n" for above, below in zip(blocks[:-1:2], blocks[1:-1:2], strict=False)]
    if not notes:
        raise UsageError(f"{path} has no checkpoint.", "Name a file that an anchor was written to.")
    return notes


def _append(path: Path, text: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write(text)
            os.fsync(file.fileno())
    except OSError as error:
        raise KeytrailError(
            f"The anchor {path} takes no checkpoint ({error.strerror}).", "Make it writable."
        ) from error


def _run(command: str, text: bytes) -> None:
    try:
        subprocess.run(
            shlex.split(command), input=text, check=True, capture_output=True, timeout=_COMMAND_TIMEOUT_S
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise KeytrailError(
            f"The anchor's command took no checkpoint ({type(error).__name__}).",
            "Run it by hand, with a checkpoint on its stdin.",
        ) from error
