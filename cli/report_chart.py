"""Bars as SVG, coloured by the page's style."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from keytrail.cli.output import printable
from keytrail.sinks.clickhouse.http import Row
from keytrail.sinks.reports.report import Bars

_MOST_BARS = 15
_LONGEST_LABEL = 32
_LABELS, _WIDTH, _FIGURES, _STEP = 240, 440, 90, 24


def chart(rows: Sequence[Row], bars: Bars, title: str) -> str:
    """One bar a label, in the rows' order if they state sizes, else the longest first; at most 15 bars."""
    sizes: Counter[str] = Counter()
    for row in rows:
        sizes[printable(row[bars.label]) or "(none)"] += int(str(row[bars.size])) if bars.size else 1
    drawn = list(sizes.items()) if bars.size else sizes.most_common()
    longest = max(sizes.values()) or 1
    lines = [
        _bar(number, label, size, size / longest) for number, (label, size) in enumerate(drawn[:_MOST_BARS])
    ]
    if (left := len(drawn) - _MOST_BARS) > 0:
        lines.append(_label(len(lines), f"and {left} more"))
    width, height = _LABELS + _WIDTH + _FIGURES, len(lines) * _STEP
    drawing = "\n".join(lines)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(printable(title))}">\n{drawing}\n</svg>'
    )


def _bar(number: int, label: str, size: int, share: float) -> str:
    length = max(round(_WIDTH * share), 1)
    return (
        f"{_label(number, label)}"
        f'<rect x="{_LABELS}" y="{number * _STEP + 4}" width="{length}" height="{_STEP - 8}" rx="2"/>'
        f'<text x="{_LABELS + length + 8}" y="{number * _STEP + 17}">{size:,}</text>'
    )


def _label(number: int, label: str) -> str:
    short = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    return (
        f'<text x="{_LABELS - 10}" y="{number * _STEP + 17}" text-anchor="end">{escape(short)}'
        f"<title>{escape(label)}</title></text>"
    )
