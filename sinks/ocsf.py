"""Findings as OCSF Detection Findings (schema.ocsf.io, version 1.4, class 2004), for tools that speak it.

One record of the anomaly topic is one OCSF event; `finding_info.uid` is the finding, and tells doubles apart
together with `metadata.sequence`, its revision.
"""

from typing import NotRequired, TypedDict

from keytrail.schemas.records import Anomaly

VERSION = "1.4.0"
_CLASS = 2004
_CATEGORY = 2
_CREATE, _UPDATE, _CLOSE = 1, 2, 3
_ACTIVITY = {
    "open": _CREATE,
    "updated": _UPDATE,
    "suppressed": _UPDATE,
    "acknowledged": _UPDATE,
    "closed": _CLOSE,
    "resolved": _CLOSE,
}
_STATUS = {"open": 1, "updated": 1, "acknowledged": 2, "suppressed": 3, "closed": 4, "resolved": 4}
_SEVERITY = {"low": 2, "medium": 3, "high": 4, "critical": 5}
_OTHER = 99


class Product(TypedDict):
    name: str
    vendor_name: str


class Metadata(TypedDict):
    version: str
    product: Product
    uid: str
    sequence: int


class Technique(TypedDict):
    uid: str


class Attack(TypedDict):
    technique: Technique


class Analytic(TypedDict):
    name: str
    uid: str
    version: str
    type_id: int


class FindingInfo(TypedDict):
    uid: str
    title: str
    desc: str
    first_seen_time: int
    last_seen_time: int
    analytic: Analytic
    attacks: list[Attack]
    related_events: list[dict[str, str]]


class Resource(TypedDict):
    type: str
    name: str


class Remediation(TypedDict):
    desc: str


class DetectionFinding(TypedDict):
    """Times are milliseconds since 1970, as OCSF has them."""

    activity_id: int
    category_uid: int
    class_uid: int
    type_uid: int
    time: int
    severity_id: int
    severity: str
    status_id: int
    status: str
    count: int
    message: str
    metadata: Metadata
    finding_info: FindingInfo
    resources: list[Resource]
    unmapped: dict[str, str]
    remediation: NotRequired[Remediation]


def detection_finding(anomaly: Anomaly) -> DetectionFinding:
    """What OCSF has no field for is under `unmapped`.  A word that this version does not know is "other"."""
    activity = _ACTIVITY.get(anomaly.status, _OTHER)
    found = DetectionFinding(
        activity_id=activity,
        category_uid=_CATEGORY,
        class_uid=_CLASS,
        type_uid=_CLASS * 100 + activity,
        time=anomaly.emitted_at // 1000,
        severity_id=_SEVERITY.get(anomaly.severity, _OTHER),
        severity=anomaly.severity,
        status_id=_STATUS.get(anomaly.status, _OTHER),
        status=anomaly.status,
        count=anomaly.count,
        message=anomaly.summary,
        metadata=Metadata(
            version=VERSION,
            product=Product(name="keytrail", vendor_name="keytrail"),
            uid=f"{anomaly.anomaly_id}/{anomaly.revision}",
            sequence=anomaly.revision,
        ),
        finding_info=FindingInfo(
            uid=anomaly.anomaly_id,
            title=f"{anomaly.rule}: {anomaly.entity_type} {anomaly.entity}",
            desc=anomaly.summary,
            first_seen_time=anomaly.first_seen // 1000,
            last_seen_time=anomaly.last_seen // 1000,
            analytic=Analytic(
                name=anomaly.rule, uid=anomaly.rule, version=str(anomaly.rule_version), type_id=1
            ),
            attacks=[Attack(technique=Technique(uid=anomaly.technique))] if anomaly.technique else [],
            related_events=[{"uid": event_id} for event_id in anomaly.evidence],
        ),
        resources=[Resource(type=anomaly.entity_type, name=anomaly.entity)],
        unmapped={**anomaly.details, "cause": anomaly.cause, "policy_version": anomaly.policy_version},
    )
    if anomaly.remedy:
        found["remediation"] = Remediation(desc=anomaly.remedy)
    return found
