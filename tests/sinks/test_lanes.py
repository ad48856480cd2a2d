"""When a partition's records become a block."""

from confluent_kafka import Message

from keytrail.sinks.clickhouse.claims import Claim
from keytrail.sinks.clickhouse.lanes import FlushRule, Lane
from keytrail.sinks.clickhouse.positions import Position, Start
from keytrail.sinks.clickhouse.tables import TABLES
from keytrail.sinks.cluster import Place

RULE = FlushRule(rows=3, age_s=0.4, longest_s=1.0)
NEVER = float("inf")


def lane() -> Lane:
    table = next(iter(TABLES))
    claim = Claim("topic-id", 0, 1, "a sink")
    return Lane(
        Place(table.topic.name, 0), table, claim, Position(Start.after(None, None, "topic-id"), "topic-id")
    )


def add(to: Lane, *offsets: int, now: float) -> None:
    for offset in offsets:
        to.add(Message(topic=to.place.topic, partition=0, offset=offset, value=b"x"), now)


def test_a_block_waits_for_its_age_and_a_full_one_for_nothing() -> None:
    one = lane()
    assert one.due_at(RULE) == NEVER
    add(one, 0, 1, now=10.0)
    assert one.due_at(RULE) == 10.4
    add(one, 2, now=10.1)
    assert one.due_at(RULE) == 10.0


def test_only_one_block_is_under_way() -> None:
    one = lane()
    add(one, 0, now=10.0)
    one.seal(RULE, 10.4)
    add(one, 1, 2, 3, now=10.5)
    assert one.due_at(RULE) == NEVER
    one.settle(1, 10.6)
    assert one.due_at(RULE) == 10.5


def test_after_a_slow_insert_more_is_gathered_but_never_for_longer_than_the_longest() -> None:
    for took, waits in ((0.1, 0.4), (0.3, 0.6), (2.0, 1.0)):
        one = lane()
        add(one, 0, now=10.0)
        one.seal(RULE, 11.0)
        one.settle(1, 11.0 + took)
        add(one, 1, now=20.0)
        assert one.due_at(RULE) == 20.0 + waits
