-- Signatures of events; a key's suspensions and secrets; keys that are used and that nobody registered.

ALTER TABLE events
    ADD COLUMN IF NOT EXISTS `signature` LowCardinality(String) DEFAULT 'unsigned' CODEC(ZSTD(1)) COMMENT 'Of the event, when it was read: verified, claimed (by a service that was called with the key), unsigned, invalid, or unchecked (the worker had no master secret).' AFTER key_team;

ALTER TABLE keys
    ADD COLUMN IF NOT EXISTS `suspensions` Array(Tuple(since DateTime64(6, 'UTC'), until DateTime64(6, 'UTC'))) CODEC(ZSTD(1)) COMMENT 'Earlier suspensions that are over.' AFTER labels,
    ADD COLUMN IF NOT EXISTS `secret_version` Int64 CODEC(ZSTD(1)) COMMENT 'Number of the key\'s newest signing secret, from 1. 0: the key has none.' AFTER suspensions,
    ADD COLUMN IF NOT EXISTS `secret_since` DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'When that secret was made.' AFTER secret_version,
    ADD COLUMN IF NOT EXISTS `old_secrets_until` DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'Until when events may be signed with the secret before it.' AFTER secret_since;

CREATE OR REPLACE VIEW keys_current
(
    `key_id` String COMMENT 'Identity of the key.',
    `version` Int64 COMMENT 'Counts the changes of this key, from 1; an edit names the version it is based on.',
    `kind` LowCardinality(String) COMMENT 'human or service.',
    `owner` String COMMENT 'The human or the service that the key is tied to.',
    `team` LowCardinality(String) COMMENT 'Team that answers for the key.',
    `status` LowCardinality(String) COMMENT 'active, suspended or revoked. Expiry follows from expires_at.',
    `issued_at` DateTime64(6, 'UTC') COMMENT 'When it was issued, UTC.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When it stops being valid. Null: it does not.',
    `rotated_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When a successor was issued.',
    `suspended_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'Since when it is suspended.',
    `revoked_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was revoked.',
    `scope_actions` Array(LowCardinality(String)) COMMENT 'Actions the key may do, as patterns with * and ?. Empty: any.',
    `scope_roles` Array(LowCardinality(String)) COMMENT 'Roles the key may grant or use, as patterns. Empty: any.',
    `scope_resources` Array(LowCardinality(String)) COMMENT 'Resources the key may touch, as patterns. Empty: any.',
    `scope_environments` Array(LowCardinality(String)) COMMENT 'Environments the key may be used in. Empty: any.',
    `scope_networks` Array(LowCardinality(String)) COMMENT 'Networks the key may be used from, in CIDR notation. Empty: any.',
    `scope_hours` String COMMENT 'Hours the key may be used in, as `Mon-Fri 08:00-18:00 Europe/Berlin`. Empty: any.',
    `break_glass` Bool COMMENT 'Meant for emergencies: lies unused, and each use is looked at.',
    `predecessor` String COMMENT 'The key that this one replaced.',
    `successor` String COMMENT 'The key that replaced this one.',
    `parent_key` String COMMENT 'The key that issued this one.',
    `aliases` Array(String) COMMENT 'Hashes of tokens that stand for this key.',
    `labels` Map(LowCardinality(String), String) COMMENT 'Anything else worth keeping.',
    `suspensions` Array(Tuple(since DateTime64(6, 'UTC'), until DateTime64(6, 'UTC'))) COMMENT 'Earlier suspensions that are over.',
    `secret_version` Int64 COMMENT 'Number of the key\'s newest signing secret, from 1. 0: the key has none.',
    `secret_since` DateTime64(6, 'UTC') COMMENT 'When that secret was made.',
    `old_secrets_until` DateTime64(6, 'UTC') COMMENT 'Until when events may be signed with the secret before it.',
    `changed_by` String COMMENT 'Who made the latest change.',
    `reason` String COMMENT 'Why the latest change was made.',
    `changed_at` DateTime64(6, 'UTC') COMMENT 'When the latest change was made, UTC.',
    `kafka_offset` Int64 COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 COMMENT 'Partition of that record.',
    `kafka_block` Int64 COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') COMMENT 'When the row was stored, UTC.'
)
AS
SELECT *
FROM keys
ORDER BY key_id DESC, version DESC
LIMIT 1 BY key_id
COMMENT 'The latest state of each provisioning key. Expiry follows from expires_at.';

CREATE OR REPLACE VIEW keys_discovered
(
    `key_id` String COMMENT 'A key that events name and nobody registered.',
    `first_seen` DateTime64(6, 'UTC') COMMENT 'Time of the first event with it, UTC.',
    `last_seen` DateTime64(6, 'UTC') COMMENT 'Time of the latest one, UTC.',
    `uses` UInt64 COMMENT 'How many events name it.',
    `actors` Array(String) COMMENT 'Some of those who used it.',
    `services` Array(String) COMMENT 'Some of the services it was used through.'
)
AS
SELECT
    toString(key_id) AS key_id,
    min(occurred_at) AS first_seen,
    max(occurred_at) AS last_seen,
    count() AS uses,
    arraySort(groupUniqArray(10)(toString(actor_id))) AS actors,
    arraySort(groupUniqArray(10)(toString(service))) AS services
FROM events
WHERE key_status = 'unknown'
    AND key_id NOT IN (SELECT key_id FROM keys)
    AND key_id NOT IN (SELECT arrayJoin(aliases) FROM keys)
GROUP BY key_id
COMMENT 'Keys that are used and that nobody registered: `keytrail keys adopt` does.';
