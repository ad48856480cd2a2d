-- What is left of rows that retention has removed: enough to tell that they were there, nothing of what they said.

CREATE TABLE IF NOT EXISTS cut_rows
(
    `cut_id` UUID CODEC(ZSTD(1)) COMMENT 'The cut; the event `retention_cut` with this id in its attributes tells who made it, when and why.',
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Of the row that was removed, as in events.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Of the row, as in events.',
    `kafka_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Of the row, as in events.',
    `source_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Of the row, as in events.',
    `source_offset` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Of the row, as in events.',
    `enriched_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the row, as in events.',
    `recorded_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the row, as in events.',
    `producer_id` LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Of the row, as in events.',
    `sequence` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Of the row, as in events.',
    `leaf` FixedString(32) CODEC(NONE) COMMENT 'The hash of the row, by which keytrail verify goes on over the cut.'
)
ENGINE = {merge_tree}
ORDER BY (kafka_incarnation, kafka_partition, kafka_offset)
COMMENT 'Rows of events that were removed on purpose: where they stood, and their hash.';

CREATE OR REPLACE VIEW removed_rows
(
    `kafka_partition` Int32 COMMENT 'Of the row, as in events.',
    `kafka_offset` Int64 COMMENT 'Of the row, as in events.',
    `source_partition` Int32 COMMENT 'Of the row, as in events.',
    `source_offset` Int64 COMMENT 'Of the row, as in events.',
    `enriched_at` DateTime64(6, 'UTC') COMMENT 'Of the row, as in events.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Of the row, as in events.',
    `producer_id` LowCardinality(String) COMMENT 'Of the row, as in events.',
    `sequence` Int64 COMMENT 'Of the row, as in events.'
)
AS
SELECT DISTINCT
    kafka_partition, kafka_offset, source_partition, source_offset, enriched_at, recorded_at, producer_id, sequence
FROM cut_rows
WHERE (kafka_incarnation, kafka_partition, kafka_offset) NOT IN (
    SELECT kafka_incarnation, kafka_partition, kafka_offset
    FROM events
    WHERE (kafka_incarnation, kafka_partition, kafka_offset) IN (
        SELECT kafka_incarnation, kafka_partition, kafka_offset FROM cut_rows
    )
)
COMMENT 'Rows of events that retention has removed; while it is at it, a row can be in both tables, and is none of these.';
