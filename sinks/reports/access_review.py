"""`access_review`: who holds what, team by team, for a reviewer to certify or to take away.

The decision comes back as an event: `revoke` with the role, or `certify` with the role as its resource, so
that it is no use of the role.  A certificate counts for the grant that was in force when it was given.
"""

from keytrail.sinks.reports.question import Question, report_of
from keytrail.sinks.reports.report import Bars

HELD = Question(
    "Access held, to certify or to take away",
    """
WITH
    teams AS
    (
        SELECT subject, argMaxIf(team, place, team != '') AS latest_team
        FROM access_changes
        GROUP BY subject
    ),
    reviewed AS
    (
        SELECT subject
        FROM access_as_of(at = '9999-12-31 23:59:59.999999')
        INNER JOIN teams USING (subject)
        WHERE {team:String} IN ('', latest_team) AND {owner:String} IN ('', key_owner)
        ORDER BY latest_team, subject
        LIMIT {limit:UInt32}
    )
SELECT latest_team AS team, subject, role, since, granted_by, key_id, key_owner, reason, ticket,
    approved_by, last_used,
    age('day', greatest(since, ifNull(last_used, since)), now64(6, 'UTC')) AS unused_days,
    if(certificates.at < since, NULL, certificates.at) AS certified_at,
    if(certificates.at < since, '', toString(certificates.by)) AS certified_by
FROM current_access
INNER JOIN teams USING (subject)
LEFT JOIN
(
    SELECT subject, resource AS role, max(occurred_at) AS at, argMax(actor_id, occurred_at) AS by
    FROM events
    WHERE action = 'certify' AND outcome = 'success'
    GROUP BY subject, resource
) AS certificates USING (subject, role)
WHERE subject IN (SELECT subject FROM reviewed) AND {owner:String} IN ('', key_owner)
ORDER BY team, subject, role
LIMIT {limit:UInt32}""",
    ("team", "subject", "role", "since", "granted_by", "reason", "last_used", "unused_days", "certified_at"),
    Bars("team"),
)

REPORT = report_of(
    "access_review",
    "who holds what, to certify (emit certify --subject S --resource ROLE) or take away (emit revoke)",
    (HELD,),
    {"team": "only subjects of this team", "owner": "only grants made with keys of this owner"},
)
