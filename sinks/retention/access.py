"""Changes of access that no cut may take, or the views would say something else about who holds what."""

# One by (time, event id), as the views have it; deletes of a subject have no role, and so are a group too.
_LATEST = (
    "SELECT argMax(event_id, (occurred_at, UUIDToNum(event_id))) FROM access_changes GROUP BY subject, role"
)
# The grants of a role, and under '' all of a subject's, which a delete ends.
_ENDS = (
    "SELECT event_id FROM access_changes INNER JOIN (SELECT subject, role, min(occurred_at) AS granted_at"
    " FROM access_changes WHERE action = 'grant' GROUP BY GROUPING SETS ((subject, role), (subject)))"
    " AS grants USING (subject, role) WHERE action != 'grant' AND occurred_at >= granted_at"
)

# Which rows of `events`, in SQL: the latest grant or revoke of each role of a subject, the latest delete of
# each subject, and every revoke and delete of which an earlier grant is still there.
NEEDED = f"event_id IN ({_LATEST}) OR event_id IN ({_ENDS})"
