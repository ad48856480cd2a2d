"""`segregation_of_duties`: who holds roles that the policy keeps apart, and who acted for themselves."""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

HELD_TOGETHER = Question(
    "Roles held together that the policy keeps apart",
    """
SELECT separation, subject,
    arraySort(groupUniqArrayIf(role, match(role, first))) AS one_side,
    arraySort(groupUniqArrayIf(role, match(role, second))) AS other_side,
    max(since) AS held_together_since
FROM
(
    SELECT subject, toString(role) AS role, since, separation, first, second
    FROM current_access
    ARRAY JOIN
        {separations:Array(String)} AS separation,
        {firsts:Array(String)} AS first,
        {seconds:Array(String)} AS second
    WHERE match(role, {apart:String})
)
WHERE match(role, first) OR match(role, second)
GROUP BY separation, subject
HAVING notEmpty(one_side) AND notEmpty(other_side)
    AND length(arrayDistinct(arrayConcat(one_side, other_side))) > 1
ORDER BY separation, subject
LIMIT {limit:UInt32}""",
    ("separation", "subject", "one_side", "other_side", "held_together_since"),
    Bars("separation"),
    exceptions=True,
)

SELF_APPROVED = Question(
    "Changes in the period that their maker approved",
    """
SELECT occurred_at, action, subject, role, actor_id, key_id, reason, ticket, event_id
FROM access_changes
WHERE approved_by != '' AND approved_by = actor_id
    AND occurred_at >= {since:String} AND occurred_at < {until:String}
ORDER BY occurred_at, event_id
LIMIT {limit:UInt32}""",
    ("occurred_at", "action", "subject", "role", "actor_id", "key_id", "ticket"),
    exceptions=True,
)

OWN_ACCESS = Question(
    "Grants in the period to the one who made them",
    """
SELECT occurred_at, subject, role, key_id, key_owner, reason, ticket, approved_by, event_id
FROM access_changes
WHERE action = 'grant' AND subject = actor_id
    AND occurred_at >= {since:String} AND occurred_at < {until:String}
ORDER BY occurred_at, event_id
LIMIT {limit:UInt32}""",
    ("occurred_at", "subject", "role", "key_id", "reason", "ticket", "approved_by"),
    exceptions=True,
)

REPORT = report_of(
    "segregation_of_duties",
    "who holds roles that the policy keeps apart, and who approved or granted for themselves",
    (HELD_TOGETHER, SELF_APPROVED, OWN_ACCESS),
    {},
)
