"""Parameters of `detections.audit_silence`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SilenceLimits:
    """When a service always reports, and when it is missed; see `detections.audit_silence`."""

    times: float = 3.0
    least_hours: int = 6
    known_days: int = 7
    regular_reports: int = 20
    busy_hours: int = 150
