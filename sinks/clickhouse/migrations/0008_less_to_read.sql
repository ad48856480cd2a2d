-- Less to keep and to read: why, with the figures of fifty million events, in docs/decisions/028-views.md

-- Projections have the table's codec, and none of their columns'.
ALTER TABLE events MODIFY SETTING default_compression_codec = 'ZSTD(1)';

-- A month that no row came to for three days becomes one part: a projection is as long as there are parts.
ALTER TABLE events MODIFY SETTING min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE events MODIFY SETTING min_age_to_force_merge_seconds = 259200;

ALTER TABLE events ADD COLUMN IF NOT EXISTS `subject_team` LowCardinality(String) MATERIALIZED attributes['team'] CODEC(ZSTD(1)) COMMENT 'The subject\'s team, where the event says so: attributes[\'team\'].';

ALTER TABLE events MATERIALIZE COLUMN subject_team;

ALTER TABLE events ADD PROJECTION IF NOT EXISTS key_uses
(
    SELECT key_id, count(), min(occurred_at), max(occurred_at)
    GROUP BY key_id
);

ALTER TABLE events MATERIALIZE PROJECTION key_uses;

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
SELECT subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, subject_team AS team
FROM events
WHERE subject != '' AND role != '' AND outcome = 'success' AND action IN ('grant', 'revoke')
UNION ALL
SELECT actor_id AS subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, subject_team AS team
FROM events
WHERE if(events.subject = '' AND action IN ('grant', 'revoke'), 1, 0) = 1 AND role != '' AND outcome = 'success'
UNION ALL
SELECT subject, occurred_at, action, role, permissions, expires_at, actor_id, key_id, key_owner, key_team, reason, ticket, approved_by, service, environment, event_id, subject_team AS team
FROM events
WHERE subject != '' AND subject != actor_id AND role = '' AND outcome = 'success' AND action = 'delete'
COMMENT 'Every change of access that took effect: roles granted and revoked, and subjects deleted.';
