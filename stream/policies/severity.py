"""How bad a finding is, by where its event happened and how much its role can do."""

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import SEVERITIES
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.privilege import is_privileged


def shifted(severity: str, rule: str, event: Event, policy: Policy) -> str:
    """The severity, moved by the first of the policy's shifts that fits, within the four there are."""
    for shift in policy.severity_shifts:
        if (
            matches_any(shift.rules, rule)
            and matches_any(shift.environments, event.environment or "")
            and (not shift.privileged or is_privileged(event.role or "", event.permissions, policy))
        ):
            step = SEVERITIES.index(severity) + shift.by
            return SEVERITIES[min(max(step, 0), len(SEVERITIES) - 1)]
    return severity
