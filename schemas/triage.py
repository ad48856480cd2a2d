"""A person's decision on a finding, as an audited event tells of it.

The event's subject is the finding's id, so that decisions on one finding follow one another in one partition;
attributes name the finding, and how it was when the person saw it.
"""

import hashlib
from collections.abc import Mapping

from keytrail.schemas.records import Anomaly

ACKNOWLEDGE, CLOSE = "acknowledge_finding", "close_finding"
STATUS_OF: Mapping[str, str] = {ACKNOWLEDGE: "acknowledged", CLOSE: "closed"}
RESOURCE = "finding"


def anomaly_id(rule: str, entity_type: str, entity: str, cause: str) -> str:
    """32 hex digits of a SHA-256 over the four parts, each with its length before it."""
    text = "".join(f"{len(part)}:{part}" for part in (rule, entity_type, entity, cause))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def attributes_of(anomaly: Anomaly) -> dict[str, str]:
    """What the event's attributes say of the finding."""
    return {
        "rule": anomaly.rule,
        "entity_type": anomaly.entity_type,
        "entity": anomaly.entity,
        "cause": anomaly.cause,
        "count": str(anomaly.count),
        "severity": anomaly.severity,
    }
