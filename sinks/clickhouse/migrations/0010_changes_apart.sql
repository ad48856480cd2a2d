-- The few changes among the many events are kept apart, sorted by whose they are; so are the uses of roles, added up.
-- Why, with the figures of fifty million events: docs/decisions/028-views.md
--
-- ClickHouse takes a projection with a WHERE for queries that say the same condition in the same words; it words IN
-- anew, so `has` says it, and IN beside it serves the index by_action, where rows are that have no projection yet.

ALTER TABLE events ADD PROJECTION IF NOT EXISTS changes
(
    SELECT subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, subject_team, outcome
    WHERE outcome = 'success' AND has(['grant', 'revoke', 'delete'], action)
    ORDER BY if(subject = '', actor_id, subject)
);

ALTER TABLE events MATERIALIZE PROJECTION changes;

ALTER TABLE events ADD PROJECTION IF NOT EXISTS uses
(
    SELECT if(subject = '', actor_id, subject), role, count(), max(occurred_at)
    WHERE outcome = 'success' AND role != '' AND NOT has(['grant', 'revoke'], action)
    GROUP BY if(subject = '', actor_id, subject), role
);

ALTER TABLE events MATERIALIZE PROJECTION uses;

CREATE OR REPLACE VIEW access_changes
(
    `subject` String COMMENT 'Whose access it is: the subject, or else the actor.',
    `occurred_at` DateTime64(6, 'UTC') COMMENT 'When it was changed, by the service\'s clock.',
    `action` LowCardinality(String) COMMENT 'grant, revoke, or delete: the subject itself is gone, and all of its roles with it.',
    `role` LowCardinality(String) COMMENT 'The role that was granted or revoked. Empty: the subject was deleted.',
    `permissions` Array(LowCardinality(String)) COMMENT 'The permissions that the role carries, where the service says so.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When a temporary grant ends. Null: it does not.',
    `actor_id` LowCardinality(String) COMMENT 'Who changed it.',
    `key_id` LowCardinality(String) COMMENT 'The provisioning key it was changed with.',
    `key_owner` LowCardinality(String) COMMENT 'Owner of that key.',
    `key_team` LowCardinality(String) COMMENT 'Team that answers for that key.',
    `reason` String COMMENT 'Why, in the words of who asked for it.',
    `ticket` String COMMENT 'The ticket or change request behind it.',
    `approved_by` LowCardinality(String) COMMENT 'Who approved it.',
    `service` LowCardinality(String) COMMENT 'The service that reports it.',
    `environment` LowCardinality(String) COMMENT 'Where it runs, such as production or staging.',
    `team` String COMMENT 'The subject\'s team, where the event says so.',
    `event_id` UUID COMMENT 'Identity of the event.',
    `place` Int256 COMMENT 'The greater of two is the later change: by time, and by the event\'s id where that is the same.'
)
AS
SELECT if(events.subject = '', actor_id, events.subject) AS subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, subject_team AS team, event_id,
    bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)) AS place
FROM events
WHERE outcome = 'success' AND has(['grant', 'revoke', 'delete'], action) AND action IN ('grant', 'revoke', 'delete')
    AND if(action = 'delete', role = '' AND events.subject != '' AND events.subject != actor_id, role != '')
COMMENT 'Every change of access that took effect: roles granted and revoked, and subjects deleted.';

CREATE OR REPLACE VIEW role_uses
(
    `subject` String COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, group or policy.',
    `uses` UInt64 COMMENT 'How many events used it.',
    `last_used` DateTime64(6, 'UTC') COMMENT 'When it was last used.'
)
AS
SELECT whose AS subject, role, uses, last_used
FROM
(
    SELECT if(subject = '', actor_id, subject) AS whose, role, count() AS uses, max(occurred_at) AS last_used
    FROM events
    WHERE outcome = 'success' AND role != '' AND NOT has(['grant', 'revoke'], action)
    GROUP BY if(subject = '', actor_id, subject), role
)
COMMENT 'Which roles were used, whether or not they are held: every event with a role that is no grant or revoke.';

CREATE OR REPLACE VIEW access_as_of
(
    `subject` String COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, group or policy.',
    `since` DateTime64(6, 'UTC') COMMENT 'When it was granted, by the grant that is in force.',
    `granted_by` LowCardinality(String) COMMENT 'Who granted it.',
    `key_id` LowCardinality(String) COMMENT 'The provisioning key it was granted with.',
    `key_owner` LowCardinality(String) COMMENT 'Owner of that key.',
    `reason` String COMMENT 'Why, in the words of who asked for it.',
    `ticket` String COMMENT 'The ticket or change request behind it.',
    `approved_by` LowCardinality(String) COMMENT 'Who approved it.',
    `permissions` Array(LowCardinality(String)) COMMENT 'The permissions that the role carries, where the service says so.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When a temporary grant ends. Null: it does not. An end that has passed revokes nothing by itself.',
    `service` LowCardinality(String) COMMENT 'The service that reported the grant.',
    `environment` LowCardinality(String) COMMENT 'Where it runs, such as production or staging.',
    `event_id` UUID COMMENT 'The event of the grant.'
)
AS
SELECT subject, role, since, granted_by, key_id, key_owner, reason, ticket, approved_by, permissions, expires_at, service, environment, event_id
FROM
(
    SELECT
        subject,
        role,
        max(place) AS turned_at,
        argMax(action, place) AS turn,
        argMax(occurred_at, place) AS since,
        argMax(actor_id, place) AS granted_by,
        argMax(key_id, place) AS key_id,
        argMax(key_owner, place) AS key_owner,
        argMax(reason, place) AS reason,
        argMax(ticket, place) AS ticket,
        argMax(approved_by, place) AS approved_by,
        argMax(permissions, place) AS permissions,
        argMax(tuple(expires_at), place).1 AS expires_at,
        argMax(service, place) AS service,
        argMax(environment, place) AS environment,
        argMax(event_id, place) AS event_id
    FROM access_changes
    WHERE action != 'delete' AND occurred_at <= {at:DateTime64(6, 'UTC')}
    GROUP BY subject, role
) AS turns
LEFT JOIN
(
    SELECT subject, toNullable(max(place)) AS gone_at
    FROM access_changes
    WHERE action = 'delete' AND occurred_at <= {at:DateTime64(6, 'UTC')}
    GROUP BY subject
) AS gone USING (subject)
WHERE turn = 'grant' AND (isNull(gone_at) OR turned_at > gone_at)
COMMENT 'Who held what at a time: SELECT * FROM access_as_of(at = \'2026-03-01 00:00:00\') WHERE subject = \'bob\'.';

CREATE OR REPLACE VIEW current_access
(
    `subject` String COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, group or policy.',
    `since` DateTime64(6, 'UTC') COMMENT 'When it was granted, by the grant that is in force.',
    `granted_by` LowCardinality(String) COMMENT 'Who granted it.',
    `key_id` LowCardinality(String) COMMENT 'The provisioning key it was granted with.',
    `key_owner` LowCardinality(String) COMMENT 'Owner of that key.',
    `reason` String COMMENT 'Why, in the words of who asked for it.',
    `ticket` String COMMENT 'The ticket or change request behind it.',
    `approved_by` LowCardinality(String) COMMENT 'Who approved it.',
    `permissions` Array(LowCardinality(String)) COMMENT 'The permissions that the role carries, where the service says so.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When a temporary grant ends. Null: it does not. An end that has passed revokes nothing by itself.',
    `service` LowCardinality(String) COMMENT 'The service that reported the grant.',
    `environment` LowCardinality(String) COMMENT 'Where it runs, such as production or staging.',
    `event_id` UUID COMMENT 'The event of the grant.',
    `last_used` Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was last used. Null: never.'
)
AS
SELECT
    subject, role, since, granted_by, key_id, key_owner, reason, ticket, approved_by, permissions, expires_at, service, environment, event_id,
    if(role_uses.uses = 0, NULL, role_uses.last_used) AS last_used
FROM access_as_of(at = '9999-12-31 23:59:59.999999') AS held
LEFT JOIN role_uses USING (subject, role)
COMMENT 'Who holds what now, since when, by whose key, why, and when it was last used. Ask by subject or by role; where last_used does not matter, access_as_of(at = now64(6)) is quicker.';

CREATE OR REPLACE VIEW sprawl_of_team
(
    `week` Date COMMENT 'Monday of the week, UTC; a week in which nothing changed has no row.',
    `team` String COMMENT 'The team that the subject\'s latest change with a team states; else service:NAME, as the role sprawl rule has it.',
    `subjects` Int64 COMMENT 'How many subjects of the team held a role at the end of the week.',
    `roles` Int64 COMMENT 'How many roles they held together.',
    `roles_per_subject` Float64 COMMENT 'The one by the other.'
)
AS
WITH
    histories AS
    (
        SELECT subject,
            if(argMaxIf(changes.stated, place, changes.stated != '') AS latest != '', latest, concat('service:', toString(argMax(service, place)))) AS team,
            arraySort(groupArrayIf((role, place, week, action = 'grant'), action != 'delete')) AS turns,
            arrayPushBack(arraySort(groupArrayIf((place, week), action = 'delete')), (toInt256(0), toDate('2149-06-06'))) AS ends
        FROM
        (
            SELECT subject, role, action, team AS stated, service, toMonday(occurred_at) AS week, place
            FROM access_changes
            WHERE {team:String} = '' OR subject IN
            (
                SELECT subject
                FROM access_changes
                WHERE team = {team:String} OR (startsWith({team:String}, 'service:') AND service = substring({team:String}, 9))
            )
        ) AS changes
        GROUP BY subject
        HAVING {team:String} IN ('', team)
    ),
    -- A grant adds a role, until the next turn of that role or the end of the subject takes it away.
    steps AS
    (
        SELECT subject, any(team) AS team, step.1 AS week, sum(step.2) AS grown
        FROM
        (
            SELECT subject, team,
                arrayJoin(arrayFlatten(arrayMap(
                    (turn, next) -> if(turn.4, [
                        (turn.3, toInt64(1)),
                        (least(if(next.1 = turn.1, next.3, toDate('2149-06-06')), arrayFirst(gone -> gone.1 > turn.2 OR gone.1 = 0, ends).2), toInt64(-1))
                    ], []),
                    turns, arrayResize(arrayPopFront(turns), length(turns), ('', toInt256(0), toDate('2149-06-06'), 0))
                ))) AS step
            FROM histories
        )
        WHERE step.1 != '2149-06-06'
        GROUP BY subject, week
    ),
    weeks AS
    (
        SELECT any(team) AS team, arraySort(groupArray((week, grown))) AS grown, arrayCumSum(grown.2) AS held
        FROM steps
        GROUP BY subject
    ),
    totals AS
    (
        SELECT team, grown.1 AS week, sum(grown.2) AS more_roles, sum(toInt64(held > 0) - toInt64(held - grown.2 > 0)) AS more_subjects
        FROM weeks
        ARRAY JOIN grown, held
        GROUP BY team, week
    )
SELECT
    week,
    team,
    sum(more_subjects) OVER (PARTITION BY team ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS subjects,
    sum(more_roles) OVER (PARTITION BY team ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS roles,
    if(subjects = 0, 0, roles / subjects) AS roles_per_subject
FROM totals
COMMENT 'How many roles one team held, week by week: SELECT * FROM sprawl_of_team(team = \'payments\'). Empty: every team.';

CREATE OR REPLACE VIEW sprawl_by_team
(
    `week` Date COMMENT 'Monday of the week, UTC; a week in which nothing changed has no row.',
    `team` String COMMENT 'The team that the subject\'s latest change with a team states; else service:NAME, as the role sprawl rule has it.',
    `subjects` Int64 COMMENT 'How many subjects of the team held a role at the end of the week.',
    `roles` Int64 COMMENT 'How many roles they held together.',
    `roles_per_subject` Float64 COMMENT 'The one by the other.'
)
AS
SELECT week, team, subjects, roles, roles_per_subject
FROM sprawl_of_team(team = '')
COMMENT 'How many roles each team held, week by week; sprawl_of_team is quicker for one team.';

ALTER TABLE events DROP PROJECTION IF EXISTS access;

ALTER TABLE events DROP INDEX IF EXISTS own_changes;
