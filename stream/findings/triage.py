"""Triage: what a person decided on a finding, and whether it still counts.

A decision is on what the person saw: a closed finding opens again when its count or its severity is above
that, an acknowledged one when it is graver, and both when it ended since.  All of this is compared with the
decision itself, so that the order in which decision and signals come makes no difference.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from keytrail.schemas.records import Event, Signal, Triage
from keytrail.schemas.triage import STATUS_OF, anomaly_id, resource_of, said_of
from keytrail.stream.detections.verdict import SEVERITIES
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.findings import Finding
from keytrail.stream.findings.signals import capped
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.reading.signed import Signed

FORM = 1  # of the packed state


def decision(event: Event, key: KeyAtEvent, signed: Signed, policy_version: str) -> Signal | None:
    """The signal of an event that acknowledges or closes a finding; None for any other.

    It counts where its key was active and names the action in its scope, and where it is signed if the key
    has a secret: who may send events may not silence findings with them.
    """
    status = STATUS_OF.get(event.action)
    if status is None or event.outcome != "success":
        return None
    rule, entity_type, entity, cause, count, severity = (
        said_of(event.attributes, name)
        for name in ("rule", "entity_type", "entity", "cause", "count", "severity")
    )
    is_sound = (
        event.resource == resource_of(anomaly_id(rule, entity_type, entity, cause))
        and (count.isascii() and count.isdecimal() and len(count) < 19)
        and severity in SEVERITIES
    )
    if not is_sound or not _may(event, key, signed):
        return None
    triage = Triage(
        status=status,
        count=int(count),
        severity=severity,
        by=capped(event.actor_id),
        key_id=event.key_id or "",
        reason=capped(event.reason or ""),
        ticket=event.ticket and capped(event.ticket),
        at=event.occurred_at,
    )
    return Signal(
        rule=rule,
        entity_type=entity_type,
        entity=entity,
        cause=cause,
        holds=True,
        severity=severity,
        summary="",
        remedy="",
        events=[],
        count=0,
        first_seen=event.occurred_at,
        last_seen=event.occurred_at,
        details={},
        policy_version=policy_version,
        triage=triage,
    )


def _may(event: Event, key: KeyAtEvent, signed: Signed) -> bool:
    if key.key is None or key.status != "active" or event.action not in key.key.scope_actions:
        return False
    return signed.state == "verified" or (
        signed.state in ("unsigned", "unchecked") and not key.key.secret_version
    )


def standing(finding: Finding, triage: Triage | None) -> str:
    """acknowledged or closed where the decision counts for the finding as it is now; else nothing."""
    if triage is None or triage.at <= finding.ended_at:
        return ""
    is_graver = SEVERITIES.index(finding.severity) > SEVERITIES.index(triage.severity)
    has_grown = triage.status == "closed" and finding.count > triage.count
    return "" if is_graver or has_grown else triage.status


def words(triage: Triage) -> dict[str, str]:
    """For an anomaly's details: who decided, when, with which key, and why."""
    at = datetime.fromtimestamp(triage.at / 1_000_000, UTC).isoformat(timespec="seconds")
    said = {
        "triaged_by": triage.by,
        "triaged_at": at.replace("+00:00", "Z"),
        "triaged_key": triage.key_id,
        "triaged_reason": triage.reason,
    }
    return said | ({"triaged_ticket": triage.ticket} if triage.ticket else {})


def pack(triage: Triage) -> bytes:
    """The decision as stored; see `unpack`."""
    return json.dumps([FORM, asdict(triage)], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Triage:
    form, fields = json.loads(packed)
    if form != FORM:
        raise StateFormError("triage", form)
    return Triage(**fields)
