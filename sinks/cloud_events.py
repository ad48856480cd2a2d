"""The CloudEvents envelope (cloudevents.io, version 1.0, JSON) around one record of a finding."""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from keytrail.schemas.records import Anomaly

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class CloudEvent(TypedDict):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    data: object


def envelope(anomaly: Anomaly, data: object) -> CloudEvent:
    """`data` is the finding in the receiver's form.  `id` is the same however often it is sent."""
    at = _BEGIN + timedelta(microseconds=anomaly.emitted_at)
    return CloudEvent(
        specversion="1.0",
        id=f"{anomaly.anomaly_id}/{anomaly.revision}",
        source="/keytrail/anomalies",
        type=f"keytrail.anomaly.{anomaly.status}",
        subject=f"{anomaly.entity_type}/{anomaly.entity}",
        time=at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        datacontenttype="application/json",
        data=data,
    )
