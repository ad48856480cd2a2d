"""Which topic goes to which table."""

from dataclasses import dataclass

from keytrail.schemas import topics
from keytrail.schemas.topics import Topic


@dataclass(frozen=True)
class Table:
    """`deletes`: a record without a value is a deletion there, which leaves the rows as they are."""

    name: str
    topic: Topic
    deletes: bool = False


TABLES = (
    Table("events", topics.ENRICHED),
    Table("anomalies", topics.ANOMALIES),
    Table("keys", topics.KEYS, deletes=True),
    Table("dead_letters", topics.DEAD_LETTERS),
)
BY_TOPIC = {table.topic.name: table for table in TABLES}
