"""Where the topics end up: `clickhouse` stores them for queries, `lag` tells how far each stage is behind."""
