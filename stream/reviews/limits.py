"""Parameters of `detections.break_glass_unreviewed`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReviewLimits:
    """How long a break-glass use may go without a review; see `detections.break_glass_unreviewed`."""

    hours: int = 24
