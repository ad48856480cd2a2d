-- The tables that the sink fills, one a topic, and the views of the current state.
--
-- Columns carry the names of the Avro fields; text that is absent is stored as ''.  Each row knows the
-- record that it came from (kafka_*): the sink reads from these columns how far a partition is stored.
-- What was chosen and why, with the figures: docs/decisions/010-clickhouse-tables.md

CREATE TABLE IF NOT EXISTS events
(
    `event_id` UUID CODEC(ZSTD(1)) COMMENT 'Identity of this event and its idempotency key, a UUID (version 7 where the producer makes it). The same id sent twice counts once.',
    `occurred_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the action happened, by the service\'s clock, UTC.',
    `recorded_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the producer recorded the event, by its own clock, UTC.',
    `service` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'The service that saw the action and reports it.',
    `environment` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Where it runs, such as production or staging. Empty: not stated.',
    `actor_id` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Who acted: a person, a service or the system itself, as the service names them.',
    `actor_type` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'human, service or system; other values are carried.',
    `key_id` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'The provisioning key that the action was done with. Empty: done without a key, or with one the service cannot name.',
    `key_alias` String CODEC(ZSTD(1)) COMMENT 'A hash of the token, where the service knows the token but not the id of its key.',
    `action` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'What was done: grant, revoke, create, delete, update, use, login, issue_key, rotate_key, revoke_key, suspend_key, approve, deny, or another; unknown actions are carried.',
    `subject` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Whose access changes or is used. Empty: the actor\'s own.',
    `role` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'The role, group or policy that is granted, revoked or used.',
    `permissions` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'The permissions that the role carries or that the action touched, where the service knows them.',
    `resource` String CODEC(ZSTD(1)) COMMENT 'What the access is to.',
    `reason` String CODEC(ZSTD(1)) COMMENT 'Why, in the words of who asked for it.',
    `ticket` String CODEC(ZSTD(1)) COMMENT 'The ticket or change request behind it.',
    `approved_by` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Who approved it.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When a temporary grant ends. Null: it does not end by itself, or that is not known.',
    `outcome` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'success, failure or denied.',
    `error` String CODEC(ZSTD(1)) COMMENT 'The service\'s error code or message where the outcome is not success.',
    `source_ip` String CODEC(ZSTD(1)) COMMENT 'Network address that the request came from.',
    `user_agent` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Client program that the request came from.',
    `trace_id` String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 hex digits.',
    `span_id` String CODEC(ZSTD(1)) COMMENT 'W3C span id, 16 hex digits.',
    `correlation_id` String CODEC(ZSTD(1)) COMMENT 'Another id that ties events of one piece of work together, such as a request or session id.',
    `before` String CODEC(ZSTD(1)) COMMENT 'State before the change as JSON text, where the service knows it.',
    `after` String CODEC(ZSTD(1)) COMMENT 'State after the change as JSON text, where the service knows it.',
    `attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Anything else worth keeping. `team` names the subject\'s team, by which subjects are compared with their peers.',
    `producer_id` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'One run of one producer; `sequence` counts within it.',
    `sequence` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Position of the event in its producer\'s run, from 1 without holes. 0: the producer does not count.',
    `key_status` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'The key\'s status at the time of the event: active, expired, revoked, suspended, unknown (no such key), or none (no key stated).',
    `key_owner` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Owner of the key: the human or the service it is tied to.',
    `key_kind` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'human or service.',
    `key_team` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Team that answers for the key.',
    `findings` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Names of the rules that this event counts against.',
    `policy_version` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Version of the policy the event was judged by.',
    `source_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of keytrail.events that the event was read from.',
    `source_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset in that partition.',
    `enriched_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the worker joined the event with its key, UTC.',
    `kafka_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of that record.',
    `kafka_block` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1)) COMMENT 'When the row was stored, UTC.',
    INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_key_id key_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    PROJECTION newest_block (
        SELECT kafka_incarnation, kafka_partition, max(kafka_block), max(kafka_offset)
        GROUP BY kafka_incarnation, kafka_partition
    )
)
ENGINE = {merge_tree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (subject, occurred_at)
SETTINGS {deduplication_window} = 1000
COMMENT 'Every access change and privileged operation, with what was known of its key: one row an event.';

CREATE TABLE IF NOT EXISTS anomalies
(
    `anomaly_id` String CODEC(ZSTD(1)) COMMENT 'Identity of the finding: a digest of rule, entity and cause. The same input gives the same id.',
    `revision` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Counts the records of this finding, from 1; the highest is the current state.',
    `rule` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Name of the rule.',
    `rule_version` Int32 CODEC(ZSTD(1)) COMMENT 'Version of the rule\'s meaning.',
    `severity` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'low, medium, high or critical.',
    `status` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'open (new, or again), updated, resolved or suppressed.',
    `entity_type` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'key, subject, service, or rule (where a rule itself failed).',
    `entity` String CODEC(ZSTD(1)) COMMENT 'What the finding is about.',
    `cause` String CODEC(ZSTD(1)) COMMENT 'What about the entity, such as the role that was granted. Empty: the rule says it all.',
    `first_seen` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Time of the first event behind the finding.',
    `last_seen` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Time of the latest event behind the finding.',
    `count` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'How many events stand behind the finding.',
    `evidence` Array(String) CODEC(ZSTD(1)) COMMENT 'Ids of events behind the finding: the earliest and the latest ones.',
    `summary` String CODEC(ZSTD(1)) COMMENT 'What happened, in a sentence for a person.',
    `remedy` String CODEC(ZSTD(1)) COMMENT 'What to do about it.',
    `technique` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'MITRE ATT&CK technique, such as T1098.003.',
    `policy_version` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Version of the policy that gave the finding.',
    `details` Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Figures behind the verdict, such as roles held and the peers\' median.',
    `emitted_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When this record was written, UTC.',
    `kafka_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of that record.',
    `kafka_block` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1)) COMMENT 'When the row was stored, UTC.',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    PROJECTION newest_block (
        SELECT kafka_incarnation, kafka_partition, max(kafka_block), max(kafka_offset)
        GROUP BY kafka_incarnation, kafka_partition
    )
)
ENGINE = {merge_tree}
ORDER BY (anomaly_id, revision)
SETTINGS {deduplication_window} = 1000
COMMENT 'Every state that a finding was in; anomalies_current has the latest.';

CREATE TABLE IF NOT EXISTS keys
(
    `key_id` String CODEC(ZSTD(1)) COMMENT 'Identity of the key.',
    `version` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Counts the changes of this key, from 1; an edit names the version it is based on.',
    `kind` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'human or service.',
    `owner` String CODEC(ZSTD(1)) COMMENT 'The human or the service that the key is tied to.',
    `team` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Team that answers for the key.',
    `status` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'active, suspended or revoked. Expiry follows from expires_at.',
    `issued_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was issued, UTC.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When it stops being valid. Null: it does not.',
    `rotated_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When a successor was issued.',
    `suspended_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'Since when it is suspended.',
    `revoked_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When it was revoked.',
    `scope_actions` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Actions the key may do, as patterns with * and ?. Empty: any.',
    `scope_roles` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Roles the key may grant or use, as patterns. Empty: any.',
    `scope_resources` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Resources the key may touch, as patterns. Empty: any.',
    `scope_environments` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Environments the key may be used in. Empty: any.',
    `scope_networks` Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Networks the key may be used from, in CIDR notation. Empty: any.',
    `scope_hours` String CODEC(ZSTD(1)) COMMENT 'Hours the key may be used in, as `Mon-Fri 08:00-18:00 Europe/Berlin`. Empty: any.',
    `break_glass` Bool CODEC(ZSTD(1)) COMMENT 'Meant for emergencies: lies unused, and each use is looked at.',
    `predecessor` String CODEC(ZSTD(1)) COMMENT 'The key that this one replaced.',
    `successor` String CODEC(ZSTD(1)) COMMENT 'The key that replaced this one.',
    `parent_key` String CODEC(ZSTD(1)) COMMENT 'The key that issued this one.',
    `aliases` Array(String) CODEC(ZSTD(1)) COMMENT 'Hashes of tokens that stand for this key.',
    `labels` Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Anything else worth keeping.',
    `changed_by` String CODEC(ZSTD(1)) COMMENT 'Who made the latest change.',
    `reason` String CODEC(ZSTD(1)) COMMENT 'Why the latest change was made.',
    `changed_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the latest change was made, UTC.',
    `kafka_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of that record.',
    `kafka_block` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1)) COMMENT 'When the row was stored, UTC.',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    PROJECTION newest_block (
        SELECT kafka_incarnation, kafka_partition, max(kafka_block), max(kafka_offset)
        GROUP BY kafka_incarnation, kafka_partition
    )
)
ENGINE = {merge_tree}
ORDER BY (key_id, version)
SETTINGS {deduplication_window} = 1000
COMMENT 'Every state that a provisioning key was in; keys_current has the latest.';

CREATE TABLE IF NOT EXISTS dead_letters
(
    `source_topic` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Topic that the record was read from.',
    `source_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Its partition.',
    `source_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset.',
    `source_timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'The record\'s own timestamp, UTC.',
    `reason` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Why it could not be used: null_value, bad_magic, unknown_schema, torn_datum, bad_text, over_size, invalid_event, ...',
    `detail` String CODEC(ZSTD(1)) COMMENT 'What was found and what was expected; never the content itself.',
    `remedy` String CODEC(ZSTD(1)) COMMENT 'What to do so that a replay succeeds.',
    `schema_id` Nullable(Int32) CODEC(ZSTD(1)) COMMENT 'Schema id in the record\'s header, where it has one.',
    `key` Nullable(String) CODEC(ZSTD(1)) COMMENT 'The record\'s key, unchanged.',
    `value` Nullable(String) CODEC(ZSTD(1)) COMMENT 'The record\'s value, unchanged.',
    `headers` Array(Tuple(name String, value Nullable(String))) CODEC(ZSTD(1)) COMMENT 'The record\'s headers, in order.',
    `failed_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the worker set it aside, UTC.',
    `kafka_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of that record.',
    `kafka_block` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1)) COMMENT 'When the row was stored, UTC.',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    PROJECTION newest_block (
        SELECT kafka_incarnation, kafka_partition, max(kafka_block), max(kafka_offset)
        GROUP BY kafka_incarnation, kafka_partition
    )
)
ENGINE = {merge_tree}
PARTITION BY toYYYYMM(failed_at)
ORDER BY (source_topic, source_partition, source_offset)
SETTINGS {deduplication_window} = 1000
COMMENT 'Records that could not be used, with their bytes as they came.';

CREATE VIEW IF NOT EXISTS anomalies_current
(
    `anomaly_id` String COMMENT 'Identity of the finding: a digest of rule, entity and cause. The same input gives the same id.',
    `revision` Int64 COMMENT 'Counts the records of this finding, from 1; the highest is the current state.',
    `rule` LowCardinality(String) COMMENT 'Name of the rule.',
    `rule_version` Int32 COMMENT 'Version of the rule\'s meaning.',
    `severity` LowCardinality(String) COMMENT 'low, medium, high or critical.',
    `status` LowCardinality(String) COMMENT 'open (new, or again), updated, resolved or suppressed.',
    `entity_type` LowCardinality(String) COMMENT 'key, subject, service, or rule (where a rule itself failed).',
    `entity` String COMMENT 'What the finding is about.',
    `cause` String COMMENT 'What about the entity, such as the role that was granted. Empty: the rule says it all.',
    `first_seen` DateTime64(6, 'UTC') COMMENT 'Time of the first event behind the finding.',
    `last_seen` DateTime64(6, 'UTC') COMMENT 'Time of the latest event behind the finding.',
    `count` Int64 COMMENT 'How many events stand behind the finding.',
    `evidence` Array(String) COMMENT 'Ids of events behind the finding: the earliest and the latest ones.',
    `summary` String COMMENT 'What happened, in a sentence for a person.',
    `remedy` String COMMENT 'What to do about it.',
    `technique` LowCardinality(String) COMMENT 'MITRE ATT&CK technique, such as T1098.003.',
    `policy_version` LowCardinality(String) COMMENT 'Version of the policy that gave the finding.',
    `details` Map(LowCardinality(String), String) COMMENT 'Figures behind the verdict, such as roles held and the peers\' median.',
    `emitted_at` DateTime64(6, 'UTC') COMMENT 'When this record was written, UTC.',
    `kafka_offset` Int64 COMMENT 'Offset of the record that the row came from.',
    `kafka_partition` Int32 COMMENT 'Partition of that record.',
    `kafka_block` Int64 COMMENT 'Offset of the first record of the insert that brought the row: an insert that was cut off is found by it.',
    `kafka_incarnation` UUID COMMENT 'Kafka\'s id of the topic: a topic that is deleted and made anew has another.',
    `inserted_at` DateTime64(3, 'UTC') COMMENT 'When the row was stored, UTC.'
)
AS
SELECT *
FROM anomalies
ORDER BY anomaly_id DESC, revision DESC
LIMIT 1 BY anomaly_id
COMMENT 'The latest state of each finding.';

CREATE VIEW IF NOT EXISTS keys_current
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

CREATE TABLE IF NOT EXISTS sink_claims
(
    `kafka_incarnation` UUID COMMENT 'Kafka\'s id of the topic.',
    `kafka_partition` Int32 COMMENT 'Partition of the topic.',
    `epoch` Int64 COMMENT 'Counts the claims on the partition; only the highest may insert.',
    `owner` UUID COMMENT 'Tells claims with the same epoch apart.',
    `claimed_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was made, UTC.'
)
ENGINE = {merge_tree}
ORDER BY (kafka_incarnation, kafka_partition, epoch, owner)
COMMENT 'Who may insert a partition: an insert under any but the highest claim is refused.';
