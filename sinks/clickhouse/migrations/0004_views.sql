-- Views for questions.  They read the tables anew each time, so they say what the events say, also of late ones.
--
-- What a subject holds follows from its latest grant or revoke of each role, by (time, event id), as in the stream
-- (stream/access.py).  Why views, and what each costs: docs/decisions/028-views.md

ALTER TABLE events ADD INDEX IF NOT EXISTS by_actor_id actor_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE events ADD INDEX IF NOT EXISTS by_action action TYPE set(32) GRANULARITY 1;

ALTER TABLE events ADD INDEX IF NOT EXISTS own_changes
    if(subject = '' AND action IN ('grant', 'revoke'), 1, 0) TYPE minmax GRANULARITY 1;

ALTER TABLE events ADD PROJECTION IF NOT EXISTS access
(
    SELECT
        if(subject = '', actor_id, subject),
        role,
        argMaxIf(if(outcome = 'success' AND action IN ('grant', 'revoke'), toJSONString(tuple(action, occurred_at, actor_id, key_id, key_owner, reason, ticket, approved_by, permissions, expires_at, service, environment, event_id)), ''), bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action IN ('grant', 'revoke')),
        maxIf(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action IN ('grant', 'revoke')),
        countIf(outcome = 'success' AND action NOT IN ('grant', 'revoke')),
        minIf(occurred_at, outcome = 'success' AND action NOT IN ('grant', 'revoke')),
        maxIf(occurred_at, outcome = 'success' AND action NOT IN ('grant', 'revoke')),
        maxIf(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action = 'delete' AND subject != '' AND subject != actor_id)
    GROUP BY if(subject = '', actor_id, subject), role
);

ALTER TABLE events MATERIALIZE PROJECTION access;

CREATE OR REPLACE VIEW access_changes
(
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
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
    `event_id` UUID COMMENT 'Identity of the event.'
)
AS
SELECT subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, attributes['team'] AS team
FROM events
WHERE subject != '' AND role != '' AND outcome = 'success' AND action IN ('grant', 'revoke')
UNION ALL
SELECT actor_id AS subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, attributes['team'] AS team
FROM events
WHERE if(events.subject = '' AND action IN ('grant', 'revoke'), 1, 0) = 1 AND role != '' AND outcome = 'success'
UNION ALL
SELECT subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, attributes['team'] AS team
FROM events
WHERE subject != '' AND subject != actor_id AND role = '' AND outcome = 'success' AND action = 'delete'
COMMENT 'Every change of access that took effect: roles granted and revoked, and subjects deleted.';

CREATE OR REPLACE VIEW role_uses
(
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, group or policy.',
    `uses` UInt64 COMMENT 'How many events used it.',
    `first_used` DateTime64(6, 'UTC') COMMENT 'When it was first used.',
    `last_used` DateTime64(6, 'UTC') COMMENT 'When it was last used.'
)
AS
SELECT whose AS subject, role, uses, first_used, last_used
FROM
(
    SELECT
        if(subject = '', actor_id, subject) AS whose,
        role,
        countIf(outcome = 'success' AND action NOT IN ('grant', 'revoke')) AS uses,
        minIf(occurred_at, outcome = 'success' AND action NOT IN ('grant', 'revoke')) AS first_used,
        maxIf(occurred_at, outcome = 'success' AND action NOT IN ('grant', 'revoke')) AS last_used
    FROM events
    WHERE role != ''
    GROUP BY if(subject = '', actor_id, subject), role
)
WHERE uses > 0
COMMENT 'Which roles were used, whether or not they are held: every event with a role that is no grant or revoke.';

CREATE OR REPLACE VIEW current_access
(
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
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
    whose AS subject,
    role,
    grant.2 AS since,
    grant.3 AS granted_by,
    grant.4 AS key_id,
    grant.5 AS key_owner,
    grant.6 AS reason,
    grant.7 AS ticket,
    grant.8 AS approved_by,
    grant.9 AS permissions,
    grant.10 AS expires_at,
    grant.11 AS service,
    grant.12 AS environment,
    grant.13 AS event_id,
    last_used
FROM
(
    SELECT whose, role, JSONExtract(turn, 'Tuple(String, DateTime64(6, \'UTC\'), String, String, String, String, String, String, Array(String), Nullable(DateTime64(6, \'UTC\')), String, String, UUID)') AS grant, if(uses = 0, NULL, used) AS last_used
    FROM
    (
        SELECT
            if(subject = '', actor_id, subject) AS whose,
            role,
            argMaxIf(if(outcome = 'success' AND action IN ('grant', 'revoke'), toJSONString(tuple(action, occurred_at, actor_id, key_id, key_owner, reason, ticket, approved_by, permissions, expires_at, service, environment, event_id)), ''), bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action IN ('grant', 'revoke')) AS turn,
            maxIf(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action IN ('grant', 'revoke')) AS turned_at,
            countIf(outcome = 'success' AND action NOT IN ('grant', 'revoke')) AS uses,
            maxIf(occurred_at, outcome = 'success' AND action NOT IN ('grant', 'revoke')) AS used
        FROM events
        WHERE role != ''
        GROUP BY if(subject = '', actor_id, subject), role
    ) AS turns
    LEFT JOIN
    (
        SELECT whose, toNullable(latest) AS gone_at
        FROM
        (
            SELECT if(subject = '', actor_id, subject) AS whose, maxIf(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)), outcome = 'success' AND action = 'delete' AND subject != '' AND subject != actor_id) AS latest
            FROM events
            WHERE role = ''
            GROUP BY if(subject = '', actor_id, subject), role
        )
        WHERE latest != 0
    ) AS gone USING (whose)
    WHERE startsWith(turn, '["grant"')
        AND (isNull(gone.gone_at) OR turned_at > gone.gone_at)
)
COMMENT 'Who holds what now, since when, by whose key, why, and when it was last used. Ask by subject or by role.';

CREATE OR REPLACE VIEW access_as_of
(
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
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
SELECT
    whose AS subject,
    role,
    grant.2 AS since,
    grant.3 AS granted_by,
    grant.4 AS key_id,
    grant.5 AS key_owner,
    grant.6 AS reason,
    grant.7 AS ticket,
    grant.8 AS approved_by,
    grant.9 AS permissions,
    grant.10 AS expires_at,
    grant.11 AS service,
    grant.12 AS environment,
    grant.13 AS event_id
FROM
(
    SELECT whose, role, JSONExtract(turn, 'Tuple(String, DateTime64(6, \'UTC\'), String, String, String, String, String, String, Array(String), Nullable(DateTime64(6, \'UTC\')), String, String, UUID)') AS grant
    FROM
    (
        SELECT
            subject AS whose,
            role,
            argMax(toJSONString(tuple(action, occurred_at, actor_id, key_id, key_owner, reason, ticket, approved_by, permissions, expires_at, service, environment, event_id)), bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id))) AS turn,
            max(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id))) AS turned_at
        FROM access_changes
        WHERE action != 'delete' AND occurred_at <= {at:DateTime64(6, 'UTC')}
        GROUP BY subject, role
    ) AS turns
    LEFT JOIN
    (
        SELECT subject AS whose, toNullable(max(bitShiftLeft(toInt256(toUnixTimestamp64Micro(occurred_at)), 128) + toInt256(toUInt128(event_id)))) AS gone_at
        FROM access_changes
        WHERE action = 'delete' AND occurred_at <= {at:DateTime64(6, 'UTC')}
        GROUP BY subject
    ) AS gone USING (whose)
    WHERE startsWith(turn, '["grant"')
        AND (isNull(gone.gone_at) OR turned_at > gone.gone_at)
)
COMMENT 'Who held what at a time: SELECT * FROM access_as_of(at = \'2026-03-01 00:00:00\') WHERE subject = \'bob\'.';

CREATE OR REPLACE VIEW unused_access
(
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, group or policy.',
    `since` DateTime64(6, 'UTC') COMMENT 'When it was granted, by the grant that is in force.',
    `last_used` Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was last used. Null: never.',
    `unused_days` Int64 COMMENT 'Whole days since then, or since the grant where it was never used.',
    `granted_by` LowCardinality(String) COMMENT 'Who granted it.',
    `key_id` LowCardinality(String) COMMENT 'The provisioning key it was granted with.',
    `reason` String COMMENT 'Why it was granted.'
)
AS
SELECT
    subject, role, since, last_used,
    dateDiff('day', greatest(since, ifNull(last_used, since)), now64(6, 'UTC')) AS unused_days,
    granted_by, key_id, reason
FROM current_access
WHERE isNull(last_used) OR unused_days > 0
COMMENT 'Roles that are held and lie unused: never used, or not for so many days.';

CREATE OR REPLACE VIEW unattributed
(
    `occurred_at` DateTime64(6, 'UTC') COMMENT 'When it was done, by the service\'s clock.',
    `service` LowCardinality(String) COMMENT 'The service that reports it.',
    `environment` LowCardinality(String) COMMENT 'Where it runs, such as production or staging.',
    `actor_id` LowCardinality(String) COMMENT 'Who acted.',
    `action` LowCardinality(String) COMMENT 'What was changed: a grant, a revoke, a key, a trust policy, a subject.',
    `subject` LowCardinality(String) COMMENT 'Whose access it is: the subject, or else the actor.',
    `role` LowCardinality(String) COMMENT 'The role, where the change is of one.',
    `missing` Array(String) COMMENT 'What it lacks: key (none was named), reason (neither a reason nor a ticket).',
    `event_id` UUID COMMENT 'Identity of the event.'
)
AS
SELECT
    occurred_at, service, environment, actor_id, action,
    if(events.subject = '', actor_id, events.subject) AS subject,
    role,
    arrayFilter(part -> part != '', [if(key_id = '' AND key_alias = '', 'key', ''), if(reason = '' AND ticket = '', 'reason', '')]) AS missing,
    event_id
FROM events
WHERE outcome = 'success'
    AND action IN ('grant', 'revoke', 'issue_key', 'rotate_key', 'revoke_key', 'suspend_key', 'update_trust', 'create', 'delete')
    AND ((key_id = '' AND key_alias = '') OR (reason = '' AND ticket = ''))
COMMENT 'Changes that nobody answers for: without a key, or without a reason.';

CREATE OR REPLACE VIEW key_activity
(
    `day` Date COMMENT 'The day, UTC.',
    `key_id` LowCardinality(String) COMMENT 'The provisioning key.',
    `key_owner` LowCardinality(String) COMMENT 'Its owner, where the key is known.',
    `events` UInt64 COMMENT 'How many events were done with it.',
    `changes` UInt64 COMMENT 'How many of them granted or revoked.',
    `refused` UInt64 COMMENT 'How many of them were denied or failed.',
    `actors` UInt64 COMMENT 'How many actors used it.',
    `subjects` UInt64 COMMENT 'How many subjects it was used on.',
    `services` Array(String) COMMENT 'The services it was used through, at most twenty.',
    `first_used` DateTime64(6, 'UTC') COMMENT 'Time of the first of them.',
    `last_used` DateTime64(6, 'UTC') COMMENT 'Time of the last of them.'
)
AS
SELECT
    toDate(occurred_at) AS day,
    key_id,
    any(key_owner) AS key_owner,
    count() AS events,
    countIf(action IN ('grant', 'revoke')) AS changes,
    countIf(outcome != 'success') AS refused,
    uniqExact(actor_id) AS actors,
    uniqExactIf(subject, subject != '') AS subjects,
    arraySort(groupUniqArray(20)(toString(service))) AS services,
    min(occurred_at) AS first_used,
    max(occurred_at) AS last_used
FROM events
WHERE key_id != ''
GROUP BY day, key_id
COMMENT 'What each key did, by day.';

CREATE OR REPLACE VIEW key_lineage
(
    `key_id` String COMMENT 'The key.',
    `owner` String COMMENT 'Its owner.',
    `status` LowCardinality(String) COMMENT 'Its own status: active, suspended or revoked.',
    `depth` UInt32 COMMENT 'How many keys stand above it: 0 for one that no key issued.',
    `root` String COMMENT 'The key at the top.',
    `path` Array(String) COMMENT 'From the top down to the key.',
    `revoked_above` Array(String) COMMENT 'Keys above it that are revoked.'
)
AS
WITH RECURSIVE line AS
(
    SELECT key_id, owner, status, toUInt32(0) AS depth, key_id AS root, [key_id] AS path, CAST([], 'Array(String)') AS revoked_above
    FROM keys_current
    WHERE parent_key = '' OR parent_key NOT IN (SELECT key_id FROM keys)
    UNION ALL
    SELECT
        child.key_id, child.owner, child.status, line.depth + 1, line.root, arrayPushBack(line.path, child.key_id),
        if(parent.status = 'revoked', arrayPushBack(line.revoked_above, line.key_id), line.revoked_above)
    FROM line
    INNER JOIN keys_current AS child ON child.parent_key = line.key_id
    INNER JOIN keys_current AS parent ON parent.key_id = line.key_id
    WHERE line.depth < 100
)
SELECT key_id, owner, status, depth, root, path, revoked_above
FROM line
COMMENT 'Which key issued which, and where a key lives on whose issuer is revoked.';

CREATE OR REPLACE VIEW sprawl_by_team
(
    `week` Date COMMENT 'Monday of the week, UTC; a week in which nothing changed has no row.',
    `team` String COMMENT 'The team that the subject\'s latest change with a team states; else service:NAME, as the role sprawl rule has it.',
    `subjects` Int64 COMMENT 'How many subjects of the team held a role at the end of the week.',
    `roles` Int64 COMMENT 'How many roles they held together.',
    `roles_per_subject` Float64 COMMENT 'The one by the other.'
)
AS
WITH
    turns AS
    (
        SELECT subject, role, occurred_at, UUIDToNum(event_id) AS id, toInt64(action = 'grant') AS held
        FROM access_changes
        WHERE action != 'delete'
    ),
    steps AS
    (
        SELECT subject, role, occurred_at, id, held FROM turns
        UNION ALL
        SELECT gone.subject, roles.role, gone.occurred_at, gone.id, toInt64(0)
        FROM (SELECT subject, occurred_at, UUIDToNum(event_id) AS id FROM access_changes WHERE action = 'delete') AS gone
        INNER JOIN (SELECT DISTINCT subject, role FROM turns) AS roles USING (subject)
    ),
    moves AS
    (
        SELECT subject, role, occurred_at,
            held - lagInFrame(held, 1, toInt64(0)) OVER (PARTITION BY subject, role ORDER BY occurred_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS more
        FROM steps
    ),
    weeks AS
    (
        SELECT subject, toMonday(occurred_at) AS week, sum(more) AS grown
        FROM moves
        GROUP BY subject, week
    ),
    subjects AS
    (
        SELECT subject, week, grown,
            sum(grown) OVER (PARTITION BY subject ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS held
        FROM weeks
    ),
    teams AS
    (
        SELECT subject,
            if(argMaxIf(team, (occurred_at, UUIDToNum(event_id)), team != '') AS stated != '', stated,
               concat('service:', toString(argMax(service, (occurred_at, UUIDToNum(event_id)))))) AS team
        FROM access_changes
        GROUP BY subject
    ),
    totals AS
    (
        SELECT week, teams.team AS team,
            sum(toInt64(subjects.held > 0) - toInt64(subjects.held - subjects.grown > 0)) AS more_subjects,
            sum(subjects.grown) AS more_roles
        FROM subjects
        INNER JOIN teams USING (subject)
        GROUP BY week, team
    )
SELECT
    week,
    team,
    sum(more_subjects) OVER (PARTITION BY team ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS subjects,
    sum(more_roles) OVER (PARTITION BY team ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS roles,
    if(subjects = 0, 0, roles / subjects) AS roles_per_subject
FROM totals
COMMENT 'How many roles each team held, week by week.';
