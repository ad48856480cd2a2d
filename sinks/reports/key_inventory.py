"""`key_inventory`: every key, how old it is, when it ends, and when it was last used."""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

AGES = Question(
    "How old the live keys are",
    """
SELECT
    ['up to 30 days', '31 to 90 days', '91 to 180 days', '181 to 365 days', 'over a year'][band] AS age,
    countIf(kind = 'human') AS human,
    countIf(kind != 'human') AS service,
    count() AS keys
FROM
(
    SELECT kind, age('day', issued_at, now64(6, 'UTC')) AS days,
        multiIf(days <= 30, 1, days <= 90, 2, days <= 180, 3, days <= 365, 4, 5) AS band
    FROM keys_current
    WHERE status != 'revoked' AND (isNull(expires_at) OR expires_at > now64(6, 'UTC'))
        AND ({team:String} = '' OR team = {team:String})
)
GROUP BY band
ORDER BY band""",
    ("age", "human", "service", "keys"),
    Bars("age", "keys"),
)

KEYS = Question(
    "Keys, the oldest first",
    """
SELECT key_id, owner, team, kind,
    if(status != 'revoked' AND expires_at <= now64(6, 'UTC'), 'expired', toString(status)) AS state,
    age('day', issued_at, now64(6, 'UTC')) AS days_old, issued_at, expires_at, rotated_at, break_glass,
    reason,
    if(activity.uses = 0, NULL, activity.latest) AS last_used, activity.uses AS uses
FROM keys_current
LEFT JOIN
(
    SELECT toString(key_id) AS key_id, max(occurred_at) AS latest, count() AS uses
    FROM events
    WHERE key_id != ''
    GROUP BY key_id
) AS activity USING (key_id)
WHERE {team:String} = '' OR team = {team:String}
ORDER BY issued_at, key_id
LIMIT {limit:UInt32}""",
    ("key_id", "owner", "team", "kind", "state", "days_old", "expires_at", "last_used", "uses"),
)

REPORT = report_of(
    "key_inventory",
    "every key, its age, its end and its last use",
    (AGES, KEYS),
    {"team": "only keys of this team"},
)
