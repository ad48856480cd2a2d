-- A day is unused once 24 hours are over: `dateDiff` counts midnights, and a role used an hour before one lay
-- unused for a day just after it.

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
    age('day', greatest(since, ifNull(last_used, since)), now64(6, 'UTC')) AS unused_days,
    granted_by, key_id, reason
FROM current_access
WHERE isNull(last_used) OR unused_days > 0
COMMENT 'Roles that are held and lie unused: never used, or not for so many days.';
