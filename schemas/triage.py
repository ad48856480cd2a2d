"""A person's decision on a finding, as an audited event tells of it.

The event's resource is the finding; attributes name it, and how it was when the person saw it.  Their names
are such that privacy mode leaves them as they are: what they hold is concealed already where it has to be.
"""

import hashlib
from collections.abc import Mapping

from keytrail.schemas.records import Anomaly

ACKNOWLEDGE, CLOSE = "acknowledge_finding", "close_finding"
STATUS_OF: Mapping[str, str] = {ACKNOWLEDGE: "acknowledged", CLOSE: "closed"}
_PREFIX = "keytrail.finding."


def anomaly_id(rule: str, entity_type: str, entity: str, cause: str) -> str:
    """32 hex digits of a SHA-256 over the four parts, each with its length before it."""
    text = "".join(f"{len(part)}:{part}" for part in (rule, entity_type, entity, cause))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def attributes_of(anomaly: Anomaly) -> dict[str, str]:
    """What the event's attributes say of the finding."""
    return attributes(
        rule=anomaly.rule,
        entity_type=anomaly.entity_type,
        entity=anomaly.entity,
        cause=anomaly.cause,
        count=anomaly.count,
        severity=anomaly.severity,
    )


def attributes(
    *, rule: str, entity_type: str, entity: str, cause: str, count: int, severity: str
) -> dict[str, str]:
    """The same, of a finding that is named by its parts."""
    said = {
        "rule": rule,
        "entity_type": entity_type,
        "entity": entity,
        "cause": cause,
        "count": str(count),
        "severity": severity,
    }
    return {_PREFIX + name: text for name, text in said.items()}


def said_of(attributes: Mapping[str, str], name: str) -> str:
    """One of what `attributes_of` gave; "" where it is not there."""
    return attributes.get(_PREFIX + name, "")


def resource_of(finding_id: str) -> str:
    """What the event's resource is called."""
    return f"finding/{finding_id}"
