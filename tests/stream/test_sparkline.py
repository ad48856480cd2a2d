"""Bars for figures."""

import pytest

from keytrail.cli.sparkline import sparkline


@pytest.mark.parametrize(
    ("figures", "together", "bars"),
    [
        ([], 1, ""),
        ([0, 0], 1, "··"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], 1, "·▁▂▃▄▅▆▇█"),
        ([1, 1000], 1, "▁█"),
        ([3], 1, "█"),
        ([1, 1, 0, 0, 4], 2, "▄·█"),
    ],
)
def test_bars(figures: list[int], together: int, bars: str) -> None:
    assert sparkline(figures, together) == bars
