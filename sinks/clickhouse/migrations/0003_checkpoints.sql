-- Proof that the events are as they came: signed checkpoints, and what finds the place where a row differs.

CREATE TABLE IF NOT EXISTS checkpoints
(
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'Kafka\'s id of the enriched topic; with the partition it names the log.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'Partition of that topic: each is a log of its own.',
    `size` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'How many records the log has: the leaves of its Merkle tree.',
    `root` String CODEC(ZSTD(1)) COMMENT 'The tree\'s root, in hex.',
    `before` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Every record before this offset is a leaf.',
    `made_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was made, UTC.',
    `note` String CODEC(ZSTD(1)) COMMENT 'The checkpoint with its signatures: what counts; the other columns repeat it.',
    `edge` String CODEC(ZSTD(1)) COMMENT 'The hashes that the next checkpoint goes on from.'
)
ENGINE = {merge_tree}
ORDER BY (kafka_incarnation, kafka_partition, size)
COMMENT 'Signed checkpoints of the logs; the same one can be there more than once.';

CREATE TABLE IF NOT EXISTS checkpoint_tiles
(
    `kafka_incarnation` UUID CODEC(ZSTD(1)) COMMENT 'As in checkpoints.',
    `kafka_partition` Int32 CODEC(ZSTD(1)) COMMENT 'As in checkpoints.',
    `size` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Size of the checkpoint that the tile was made for.',
    `first_leaf` Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Number of the tile\'s first leaf.',
    `offsets` Array(Int64) CODEC(Delta, ZSTD(1)) COMMENT 'Offsets of the tile\'s records, up to 256.',
    `tags` Array(UInt16) CODEC(NONE) COMMENT 'The first two bytes of each record\'s leaf hash.',
    `nodes` Array(FixedString(32)) CODEC(NONE) COMMENT 'Hashes of the largest aligned subtrees that these leaves make up.'
)
ENGINE = {merge_tree}
ORDER BY (kafka_incarnation, kafka_partition, first_leaf, size)
COMMENT 'The leaves between checkpoints in pieces: by them `keytrail verify` names the rows that differ.';

CREATE TABLE IF NOT EXISTS checkpoint_keys
(
    `key` String CODEC(ZSTD(1)) COMMENT 'The new key, as C2SP\'s signed-note specification writes verifier keys.',
    `since` DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'When it was made, UTC.',
    `note` String CODEC(ZSTD(1)) COMMENT 'The change of keys, signed by the key before and by the new one.'
)
ENGINE = {merge_tree}
ORDER BY since
COMMENT 'Changes of the key that checkpoints are signed with; the same one can be there more than once.';
