"""Expired exception: an exception of the policy is over, and what it covered is still the case.

Formula: a finding is open, no exception covers it, and one did whose last day is past.  Its entity is that
of the finding, its cause the finding's rule and cause.  Resolves when the finding does, and when the
exception is renewed or removed.  False positives: none; whoever answered for the finding no longer does.
Asked by the finding stage, by the worker's clock.
"""

from keytrail.schemas.records import Signal
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.findings.findings import Finding
from keytrail.stream.findings.signals import capped, signal_of
from keytrail.stream.policies.exemptions import told_with
from keytrail.stream.policies.policy import Exemption, Policy

RULE = Rule("expired_exception", 1, "condition", "medium", None, "figure")


def cause_of(finding: Finding) -> str:
    """What a finding of this rule about that finding has for its cause."""
    return capped(f"{finding.rule} {finding.cause}".strip())


def judge(finding: Finding, over: Exemption | None, policy: Policy) -> Signal:
    """`over` is the exception that covered the finding and is over; None where all is well."""
    about = f"{finding.rule} of {finding.entity}"
    if over is None:
        summary, remedy, details = f"No exception for {about} is over any more.", "", {}
    else:
        summary = f"The exception of {over.owner} for {about} ended with {over.until}, and it is still so."
        remedy = f"See to the finding; or ask {over.owner}, and renew the exception or take it out."
        details = told_with(over)
    setting = next((setting for setting in policy.rules if setting.name == RULE.name), None)
    verdict = Verdict(
        RULE,
        finding.entity_type,
        finding.entity,
        cause_of(finding),
        summary,
        remedy,
        holds=over is not None and (setting is None or setting.enabled),
        severity=(setting and setting.severity) or "",
        details={**details, "finding": finding.anomaly_id},
        evidence=tuple(finding.events),
        # A finding about something that never happened has no evidence to go by.
        since=finding.first_seen,
        until=finding.last_seen,
    )
    return signal_of(verdict, policy.version)
