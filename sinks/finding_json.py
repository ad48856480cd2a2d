"""A record of a finding as plain JSON: its fields by name, times as ISO 8601 in UTC."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from keytrail.schemas.records import Anomaly, Micros

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("first_seen", "last_seen", "emitted_at")


def plain(anomaly: Anomaly) -> dict[str, object]:
    """What `keytrail anomalies --json` prints and webhooks are sent."""
    fields = asdict(anomaly)
    return fields | {name: _iso(fields[name]) for name in _TIMES}


def _iso(moment: Micros) -> str:
    try:
        return (_BEGIN + timedelta(microseconds=moment)).isoformat().replace("+00:00", "Z")
    except OverflowError:  # what no calendar reaches
        return f"{moment} microseconds"
