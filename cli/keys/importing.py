"""`keytrail keys import`: many keys at once, after all of them were looked at."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keytrail.cli.keys.edits import Desk
from keytrail.cli.moments import parse_moment
from keytrail.cli.output import progress
from keytrail.producers.clock import system_clock
from keytrail.producers.key_forms import Row, csv_rows, json_rows, key_of, same_rights
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Key

_AT_ONCE = 1_000


def run(desk: Desk, file: str, actor: str, reason: str, *, dry_run: bool) -> int:
    """Registers the file's keys, or none where one of them is refused; exit code 1 then.

    A key that is registered already, with the same rights, is left as it is: a file may be imported again.
    """
    known, now = read_keys(desk.settings), system_clock()
    new: list[Key] = []
    there = refused = 0
    seen: set[str] = set()
    with _rows(file) as rows:
        for number, row in enumerate(_counted(rows, file), 1):
            try:
                key = key_of(row, by=actor, reason=reason, now=now, moment=parse_moment)
                is_new = _is_new(key, known, seen)
            except UsageError as error:
                refused += 1
                progress(f"{file}, key {number}: {error}")
                continue
            if is_new:
                new.append(key)
            else:
                there += 1
    if not refused and not dry_run:
        for start in range(0, len(new), _AT_ONCE):
            desk.register(new[start : start + _AT_ONCE])
    done = "would be registered" if dry_run or refused else "registered"
    progress(f"{len(new)} keys {done}, {there} are there already, {refused} refused.")
    return 1 if refused else 0


def _is_new(key: Key, known: KeyLog, seen: set[str]) -> bool:
    if key.key_id in seen:
        raise UsageError(f"Key {key.key_id} stands in the file twice.", "Take one out.")
    seen.add(key.key_id)
    there = known.keys.get(key.key_id)
    if there is None and key.key_id not in known.unreadable:
        return True
    if there is None or not same_rights(there, key):
        raise UsageError(f"There is another key {key.key_id} already.", "Give it another id, or take it out.")
    return False


@contextmanager
def _rows(file: str) -> Iterator[Iterator[Row]]:
    if file == "-":
        yield json_rows(sys.stdin)
        return
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            yield csv_rows(lines) if file.endswith(".csv") else json_rows(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read ({error}).", "Name a CSV or JSON lines file in UTF-8."
        ) from error


def _counted(rows: Iterator[Row], file: str) -> Iterator[Row]:
    """The rows; where the file cannot be read on, the error names the place."""
    number = 0
    try:
        for number, row in enumerate(rows, 1):  # noqa: B007 - told in the error
            yield row
    except UsageError as error:
        raise UsageError(f"{file}, key {number + 1}: {error.message}", error.remedy) from error
