"""Findings: one entity with one cause; it opens, grows, resolves, and may open again.

A finding is told to subscribers as a row of anomaly records with rising `revision`.  To keep a
burst to a handful of records, growth is told when the count has doubled, and otherwise once
things are quiet.
"""

import hashlib
import json
from dataclasses import dataclass

from keytrail.schemas.records import Anomaly, FindingStatus, Micros, Occurrence, Signal
from keytrail.schemas.triage import anomaly_id
from keytrail.stream.detections.verdict import SEVERITIES, Rule
from keytrail.stream.errors import StateFormError
from keytrail.stream.findings.signals import merge_occurrences

# Of the packed state; 2 added exceptions, 3 which evidence was told, 4 which exception it is, 5 triage.
FORM = 5


@dataclass
class Finding:
    """`told_*` is what the latest anomaly record said; `revision` 0 means none was written.

    `exempt` names the exception of the policy that covers it now, with who answers and until when; "": none.
    `triaged`: acknowledged or closed, where that counts now.  `ended_at`: when it last ended, by the events'
    time; 0 where it never did.
    """

    rule: str
    entity_type: str
    entity: str
    cause: str
    holds: bool
    severity: str
    summary: str
    remedy: str
    count: int
    first_seen: Micros
    last_seen: Micros
    events: list[Occurrence]
    details: dict[str, str]
    policy_version: str
    revision: int = 0
    told_holds: bool = False
    told_count: int = 0
    told_severity: str = ""
    told_last: Micros = 0
    exempt: str = ""
    told_exempt: str = ""
    told_evidence: str = ""
    ended_at: Micros = 0
    triaged: str = ""
    told_triaged: str = ""

    @property
    def anomaly_id(self) -> str:
        return anomaly_id(self.rule, self.entity_type, self.entity, self.cause)


def begin(signal: Signal) -> Finding:
    """A finding from its first signal, which must hold."""
    return Finding(
        rule=signal.rule,
        entity_type=signal.entity_type,
        entity=signal.entity,
        cause=signal.cause,
        holds=True,
        severity=signal.severity,
        summary=signal.summary,
        remedy=signal.remedy,
        count=signal.count,
        first_seen=signal.first_seen,
        last_seen=signal.last_seen,
        events=merge_occurrences(signal.events, ()),
        details=signal.details,
        policy_version=signal.policy_version,
    )


def grow(finding: Finding, signal: Signal, rule: Rule) -> None:
    """Take a further signal of the same entity and cause.

    A count of events adds up, and where an act's signal does not hold it takes back so many: the finding ends
    with the last one.  A figure is stated anew, for an act with its time, and of a peak the highest stays.
    """
    is_act = rule.kind == "act"
    if not signal.holds:
        if is_act and rule.measure == "events":
            _withdraw(finding, signal)
        else:
            finding.holds = False
        if not finding.holds:
            finding.ended_at = max(finding.ended_at, signal.last_seen)
        return
    if is_act and (not finding.holds or rule.measure == "figure"):
        # All that stood behind it was withdrawn, or is stated anew.
        finding.count, finding.events = 0, []
        finding.first_seen, finding.last_seen = signal.first_seen, signal.last_seen
    finding.holds = True
    if rule.measure == "peak" and not _is_higher(signal, finding):
        finding.last_seen = max(finding.last_seen, signal.last_seen)
        finding.first_seen = min(finding.first_seen, signal.first_seen)
        return
    measured = rule.measure != "events"
    finding.count = signal.count if measured else finding.count + signal.count
    finding.events = merge_occurrences(signal.events, () if measured else finding.events)
    finding.first_seen = min(finding.first_seen, signal.first_seen)
    finding.last_seen = max(finding.last_seen, signal.last_seen)
    finding.severity = max(finding.severity, signal.severity, key=SEVERITIES.index)
    if signal.last_seen >= finding.last_seen or measured:
        finding.summary, finding.remedy = signal.summary, signal.remedy
        finding.details, finding.policy_version = signal.details, signal.policy_version


def _is_higher(signal: Signal, finding: Finding) -> bool:
    """Of two that are as high, the one that began first counts."""
    if not finding.events or signal.count != finding.count:
        return signal.count > finding.count
    return signal.events[0].occurred_at <= finding.events[0].occurred_at


def _withdraw(finding: Finding, signal: Signal) -> None:
    finding.count = max(0, finding.count - signal.count)
    if finding.count == 0:
        finding.holds = False  # what stood behind it stays to be seen
        return
    gone = {occurrence.event_id for occurrence in signal.events}
    finding.events = [o for o in finding.events if o.event_id not in gone] or finding.events
    finding.first_seen = finding.events[0].occurred_at
    finding.last_seen = finding.events[-1].occurred_at


def is_due(finding: Finding) -> bool:
    """True where subscribers should hear of the finding now rather than when things are quiet.

    One that opened and ended within a batch is due too: a role that was held for a second was held.
    """
    if finding.revision == 0 or finding.holds != finding.told_holds:
        return True
    if not finding.holds:
        return False
    if finding.exempt != finding.told_exempt or finding.triaged != finding.told_triaged:
        return True
    return not finding.triaged and (
        finding.count >= 2 * finding.told_count or finding.severity != finding.told_severity
    )


def is_told(finding: Finding) -> bool:
    """True where the latest record already says all there is to say."""
    return finding.revision > 0 and (
        (finding.holds, finding.count, finding.last_seen, finding.severity, _evidence(finding))
        == (
            finding.told_holds,
            finding.told_count,
            finding.told_last,
            finding.told_severity,
            finding.told_evidence,
        )
        and (
            not finding.holds
            or (finding.exempt, finding.triaged) == (finding.told_exempt, finding.told_triaged)
        )
    )


def tell(finding: Finding, rule: Rule, now: Micros) -> Anomaly:
    """The next anomaly record of the finding, which from then on counts as told."""
    status = _status(finding)
    finding.revision += 1
    finding.told_holds, finding.told_count = finding.holds, finding.count
    finding.told_severity, finding.told_last = finding.severity, finding.last_seen
    finding.told_exempt, finding.told_triaged = finding.exempt, finding.triaged
    finding.told_evidence = _evidence(finding)
    return Anomaly(
        anomaly_id=finding.anomaly_id,
        revision=finding.revision,
        rule=finding.rule,
        rule_version=rule.version,
        severity=finding.severity,
        status=status,
        entity_type=finding.entity_type,
        entity=finding.entity,
        cause=finding.cause,
        first_seen=finding.first_seen,
        last_seen=finding.last_seen,
        count=finding.count,
        evidence=[occurrence.event_id for occurrence in finding.events],
        summary=finding.summary,
        remedy=finding.remedy,
        technique=rule.technique,
        policy_version=finding.policy_version,
        details=finding.details,
        emitted_at=now,
    )


def _evidence(finding: Finding) -> str:
    """Names what the evidence is and when it began: a measured finding may change in these alone."""
    text = ",".join([str(finding.first_seen), *(event.event_id for event in finding.events)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _status(finding: Finding) -> FindingStatus:
    if not finding.holds:
        return "resolved"
    if finding.exempt:
        return "suppressed"
    if finding.triaged:
        return "closed" if finding.triaged == "closed" else "acknowledged"
    was_open = finding.told_holds and not finding.told_exempt and finding.told_triaged != "closed"
    return "updated" if was_open else "open"


def pack(finding: Finding) -> bytes:
    """The finding as stored; see `unpack`."""
    return json.dumps([FORM, vars(finding)], separators=(",", ":"), default=vars).encode()


def unpack(packed: bytes) -> Finding:
    form, fields = json.loads(packed)
    if form not in (1, 2, 3, 4, FORM):
        raise StateFormError("finding", form)
    if form in (2, 3):
        # Which exception it was is not known, so it is told once more.
        for name in ("exempt", "told_exempt"):
            fields[name] = "?" if fields[name] else ""
    fields["events"] = [Occurrence(**occurrence) for occurrence in fields["events"]]
    finding = Finding(**fields)
    if form < 3:
        finding.told_evidence = _evidence(finding)
    return finding
