"""`privileged_access`: roles that can do nearly everything: who holds, gets, uses and tries to use them."""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

HELD = Question(
    "Privileged roles held",
    """
SELECT role, subject, since, granted_by, key_id, key_owner, reason, ticket, approved_by, expires_at, last_used
FROM current_access
WHERE match(role, {privileged:String})
ORDER BY role, subject
LIMIT {limit:UInt32}""",
    ("role", "subject", "since", "granted_by", "reason", "approved_by", "expires_at", "last_used"),
    Bars("role"),
)

CHANGES = Question(
    "Privileged roles granted and revoked in the period",
    """
SELECT occurred_at, action, role, subject, actor_id, key_id, key_owner, reason, ticket, approved_by, event_id
FROM access_changes
WHERE match(role, {privileged:String}) AND occurred_at >= {since:String} AND occurred_at < {until:String}
ORDER BY occurred_at, event_id
LIMIT {limit:UInt32}""",
    ("occurred_at", "action", "role", "subject", "actor_id", "key_id", "reason", "approved_by"),
)

REFUSED = Question(
    "Refused attempts at privileged roles in the period",
    """
SELECT actor_id, action, role, service, outcome, count() AS times, max(occurred_at) AS latest
FROM events
WHERE outcome != 'success' AND role != '' AND match(role, {privileged:String})
    AND occurred_at >= {since:String} AND occurred_at < {until:String}
GROUP BY actor_id, action, role, service, outcome
ORDER BY times DESC, actor_id, role
LIMIT {limit:UInt32}""",
    ("actor_id", "action", "role", "service", "outcome", "times", "latest"),
)

REPORT = report_of(
    "privileged_access",
    "who holds, gets and tries to get the roles that the policy calls privileged",
    (HELD, CHANGES, REFUSED),
    {},
)
