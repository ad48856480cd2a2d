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
    SELECT subject,
        arrayFilter(turn -> turn.2 = 'grant' AND ifNull(turn.3 > gone_before, true), turns).1 AS had,
        arrayFilter(turn -> turn.4 = 'grant' AND ifNull(turn.5 > gone_after, true), turns).1 AS has
    FROM
    (
        SELECT subject,
            groupArrayIf((role, before, before_at, after, after_at), role != '') AS turns,
            maxOrNullIf(before_at, before = 'delete') AS gone_before,
            maxOrNullIf(after_at, after = 'delete') AS gone_after
        FROM
        (
            SELECT subject, role,
                argMaxIf(action, place, occurred_at <= {since:String}) AS before,
                maxIf(place, occurred_at <= {since:String}) AS before_at,
                argMax(action, place) AS after,
                max(place) AS after_at
            FROM access_changes
            WHERE occurred_at <= {until:String}
            GROUP BY subject, role
        )
        GROUP BY subject
    )
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
