"""Parameters of `detections.sequence_holes`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SequenceLimits:
    """When a number that has not come is missing; see `detections.sequence_holes`."""

    late_hours: int = 2
