"""`unattributed`: changes that nobody answers for, since they name no key or no reason."""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

BY_SERVICE = Question(
    "Changes in the period, by service",
    """
SELECT service, count() AS changes, countIf(has(missing, 'key')) AS without_key,
    countIf(has(missing, 'reason')) AS without_reason
FROM unattributed
WHERE occurred_at >= {since:String} AND occurred_at < {until:String}
GROUP BY service
ORDER BY changes DESC, service
LIMIT {limit:UInt32}""",
    ("service", "changes", "without_key", "without_reason"),
    Bars("service", "changes"),
)

CHANGES = Question(
    "Changes without a key or a reason in the period",
    """
SELECT occurred_at, service, environment, actor_id, action, subject, role, missing, event_id
FROM unattributed
WHERE occurred_at >= {since:String} AND occurred_at < {until:String}
ORDER BY occurred_at DESC, event_id
LIMIT {limit:UInt32}""",
    ("occurred_at", "service", "actor_id", "action", "subject", "role", "missing"),
    exceptions=True,
)

REPORT = report_of(
    "unattributed", "changes without a key or without a reason, in a period", (BY_SERVICE, CHANGES), {}
)
