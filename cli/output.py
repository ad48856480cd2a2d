"""How commands print: tables and JSON lines on stdout, progress on stderr."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from shutil import get_terminal_size

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(0x80, 0xA0))}


def print_json(rows: Iterable[Mapping[str, object]]) -> None:
    """One object a line."""
    for row in rows:
        print(json.dumps(row, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their content; the last is cut at the terminal's edge, if there is one."""
    cells = [[printable(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    edge = get_terminal_size().columns if sys.stdout.isatty() else 0
    for row in [[name.upper() for name in columns], *cells]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if not edge or len(line) <= edge else line[: edge - 1] + "…")


def printable(value: object) -> str:
    """A value as text whose control characters cannot reach the terminal: events hold hostile strings."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text.translate(_CONTROL)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def log_to_stderr() -> None:
    """Our own log lines from INFO on, other libraries' from WARNING on."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("keytrail").setLevel(logging.INFO)
