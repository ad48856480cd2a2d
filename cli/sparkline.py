"""Figures as a line of small bars."""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def sparkline(figures: Sequence[int], together: int = 1) -> str:
    """A bar for each `together` neighbours.  The highest sum has the full bar; none at all is a dot."""
    sums = [sum(figures[at : at + together]) for at in range(0, len(figures), together)]
    highest = max(sums, default=0)
    return "".join(_BARS[(len(_BARS) * one - 1) // highest] if one else _NOTHING for one in sums)
