"""The truth file: what a judge of the simulated events must find, and what it must not."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from keytrail.schemas.errors import KeytrailError, UsageError


class Finding(NamedTuple):
    """What tells one finding from another."""

    rule: str
    entity_type: str
    entity: str
    cause: str


@dataclass(frozen=True)
class Label:
    """One finding that is due (`expected`), or a near miss, which must not become one.

    `at` is when the last of its events happened, as ISO 8601 in UTC; `event_ids` are the first few.
    """

    rule: str
    entity_type: str
    entity: str
    cause: str
    expected: bool
    event_ids: list[str]
    at: str
    note: str

    @property
    def finding(self) -> Finding:
        return Finding(self.rule, self.entity_type, self.entity, self.cause)


def write_truth(path: Path, labels: Iterable[Label]) -> None:
    """JSON lines, one label a line.  The file is there whole or not at all."""
    text = "".join(json.dumps(asdict(label), ensure_ascii=False) + "\n" for label in labels)
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
        ) as draft:
            try:
                draft.write(text)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink()
                raise
    except OSError as error:
        raise KeytrailError(
            f"{path} cannot be written: {error.strerror}.", "Name a file in a folder that can be written to."
        ) from error


def read_truth(path: Path) -> list[Label]:
    """Raises `UsageError` for a file that is not there or is no truth file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}.", "Name the file that `keytrail simulate --truth` wrote."
        ) from error
    return [_label(path, number, line) for number, line in enumerate(lines, 1)]


def _label(path: Path, number: int, line: str) -> Label:
    try:
        found = json.loads(line)
        return Label(**{field.name: found[field.name] for field in fields(Label)})
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}, line {number}, is no label: {error}.",
            "Have `keytrail simulate --truth` write the file anew.",
        ) from error
