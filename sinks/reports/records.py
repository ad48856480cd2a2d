"""Questions about the audit log itself, and about what was found in it: evidence packs ask them."""

from keytrail.sinks.reports.question import Question
from keytrail.sinks.reports.report import Bars

COVERAGE = Question(
    "What is logged in the period, by service",
    """
SELECT service, environment, count() AS events, uniqExact(actor_id) AS actors,
    countIf(outcome != 'success') AS refused,
    min(occurred_at) AS earliest, max(occurred_at) AS latest
FROM events
WHERE occurred_at >= {since:String} AND occurred_at < {until:String}
GROUP BY service, environment
ORDER BY events DESC, service, environment
LIMIT {limit:UInt32}""",
    ("service", "environment", "events", "actors", "refused", "earliest", "latest"),
    Bars("service", "events"),
)

UNREADABLE = Question(
    "Records that could not be read and are set aside",
    """
SELECT source_topic, reason, remedy, count() AS records, max(failed_at) AS latest
FROM dead_letters
WHERE failed_at >= {since:String} AND failed_at < {until:String}
GROUP BY source_topic, reason, remedy
ORDER BY records DESC, reason
LIMIT {limit:UInt32}""",
    ("source_topic", "reason", "records", "latest", "remedy"),
    exceptions=True,
)

CHECKPOINTS = Question(
    "Signed checkpoints that prove the log is as it came",
    """
SELECT kafka_partition AS partition, uniqExact(size) AS checkpoints, max(size) AS records_covered,
    min(made_at) AS earliest, max(made_at) AS latest, argMax(root, size) AS newest_root
FROM checkpoints
GROUP BY kafka_incarnation, kafka_partition
ORDER BY partition
LIMIT {limit:UInt32}""",
    ("partition", "checkpoints", "records_covered", "earliest", "latest", "newest_root"),
)

FINDINGS = Question(
    "Findings of the period",
    """
SELECT rule, severity, status, entity, cause, first_seen, last_seen, count, summary, anomaly_id
FROM anomalies_current
WHERE last_seen >= {since:String} AND first_seen < {until:String}
ORDER BY indexOf(['critical', 'high', 'medium', 'low'], severity), last_seen DESC, anomaly_id
LIMIT {limit:UInt32}""",
    ("rule", "severity", "status", "entity", "first_seen", "last_seen", "summary"),
    Bars("rule"),
)

REFUSED = Question(
    "Refused attempts in the period",
    """
SELECT actor_id, action, service, outcome, count() AS times, max(occurred_at) AS latest
FROM events
WHERE outcome != 'success' AND occurred_at >= {since:String} AND occurred_at < {until:String}
GROUP BY actor_id, action, service, outcome
ORDER BY times DESC, actor_id, action
LIMIT {limit:UInt32}""",
    ("actor_id", "action", "service", "outcome", "times", "latest"),
)

CHANGES = Question(
    "Access granted, revoked and ended in the period, with who, by which key and why",
    """
SELECT occurred_at, action, subject, role, actor_id, key_id, key_owner, reason, ticket, approved_by, event_id
FROM access_changes
WHERE occurred_at >= {since:String} AND occurred_at < {until:String}
ORDER BY occurred_at DESC, event_id
LIMIT {limit:UInt32}""",
    ("occurred_at", "action", "subject", "role", "actor_id", "key_id", "reason", "ticket", "approved_by"),
    Bars("action"),
)

UNUSED = Question(
    "Roles that are held and were not used for 90 days",
    """
SELECT subject, role, since, last_used, unused_days, granted_by
FROM unused_access
WHERE unused_days >= 90
ORDER BY unused_days DESC, subject, role
LIMIT {limit:UInt32}""",
    ("subject", "role", "since", "last_used", "unused_days", "granted_by"),
    exceptions=True,
)

KEY_CHANGES = Question(
    "Keys issued, rotated, suspended and revoked in the period",
    """
SELECT key_id, changed_at, version, status, kind, owner, changed_by, reason
FROM keys
WHERE changed_at >= {since:String} AND changed_at < {until:String}
ORDER BY changed_at DESC, key_id
LIMIT {limit:UInt32}""",
    ("changed_at", "key_id", "version", "status", "kind", "owner", "changed_by", "reason"),
)
