"""`joiner_mover_leaver`: whose access began, changed or ended in a period, and what leavers left behind."""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

MOVES = Question(
    "Whose access began, changed or ended",
    """
SELECT
    multiIf(empty(had), 'joiner', empty(has), 'leaver', 'mover') AS kind,
    subject,
    arraySort(arrayFilter(role -> NOT has(had, role), has)) AS gained,
    arraySort(arrayFilter(role -> NOT has(has, role), had)) AS lost,
    length(had) AS roles_before,
    length(has) AS roles_after,
    live_keys.ids AS live_keys
FROM
(
    SELECT subject, groupUniqArrayIf(role, span = 'before') AS had,
        groupUniqArrayIf(role, span = 'after') AS has
    FROM
    (
        SELECT toString(subject) AS subject, toString(role) AS role, 'before' AS span
        FROM access_as_of(at = {since:String})
        UNION ALL
        SELECT toString(subject) AS subject, toString(role) AS role, 'after' AS span
        FROM access_as_of(at = {until:String})
    )
    GROUP BY subject
) AS spans
LEFT JOIN
(
    SELECT owner AS subject, groupArray(key_id) AS ids
    FROM keys_current
    WHERE status = 'active' AND (isNull(expires_at) OR expires_at > now64(6, 'UTC'))
    GROUP BY owner
) AS live_keys USING (subject)
WHERE arraySort(had) != arraySort(has)
ORDER BY kind, subject
LIMIT {limit:UInt32}""",
    ("kind", "subject", "gained", "lost", "roles_before", "roles_after", "live_keys"),
    Bars("kind"),
)

LEFT_BEHIND = Question(
    "Keys that live on though their owner was deleted",
    """
SELECT owner, key_id, team, issued_at, expires_at, departures.at AS owner_left_at
FROM keys_current
INNER JOIN
(
    SELECT toString(subject) AS owner, max(occurred_at) AS at,
        maxIf(occurred_at, action = 'grant') AS granted_at
    FROM access_changes
    WHERE action IN ('delete', 'grant')
    GROUP BY owner
    HAVING maxIf(occurred_at, action = 'delete') = at AND at != granted_at
) AS departures USING (owner)
WHERE status = 'active' AND (isNull(expires_at) OR expires_at > now64(6, 'UTC'))
ORDER BY owner_left_at, key_id
LIMIT {limit:UInt32}""",
    ("owner", "owner_left_at", "key_id", "team", "issued_at", "expires_at"),
    exceptions=True,
)

REPORT = report_of(
    "joiner_mover_leaver",
    "whose access began, changed or ended in a period, and which keys leavers left behind",
    (MOVES, LEFT_BEHIND),
    {},
)
