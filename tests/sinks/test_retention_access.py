"""A cut does not change who holds what."""

from collections.abc import Iterator

import pytest
from own_tables import FIRST, grant, insert, own_tables

from keytrail.schemas.records import Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.retention.classes import RetentionClass
from keytrail.sinks.retention.cutting import Cutting

LATER = Micros(int(FIRST.timestamp() + 400 * 24 * 3600) * 1_000_000)
# (subject, role, action), an hour between each; below, which are left after a cut of all, and a second one.
HISTORY = [
    ("held", "reader", "grant"),
    ("held", "reader", "grant"),
    ("ended", "reader", "grant"),
    ("ended", "reader", "revoke"),
    ("again", "reader", "grant"),
    ("again", "reader", "revoke"),
    ("again", "reader", "grant"),
    ("gone", "reader", "grant"),
    ("gone", "", "delete"),
    ("gone", "", "delete"),
    ("held", "reader", "use"),
]
FIRST_CUT = [1, 3, 5, 6, 7, 8, 9]
SECOND_CUT = [1, 3, 6, 7, 8, 9]


@pytest.fixture
def tables(settings: Settings) -> Iterator[tuple[Settings, ClickHouse]]:
    with own_tables(settings, "retention") as made:
        rows = [
            grant(subject, role, hour, action, kafka_offset=hour)
            for hour, (subject, role, action) in enumerate(HISTORY)
        ]
        insert(made[1], rows)
        insert(made[1], [grant("newest", "reader", 99, "use", kafka_offset=99, kafka_block=99)])
        yield made


def test_what_says_who_holds_a_role_is_never_due(tables: tuple[Settings, ClickHouse]) -> None:
    settings, clickhouse = tables
    cutting = Cutting(clickhouse, settings.database, lambda: LATER)
    held = clickhouse.rows("SELECT subject, role, event_id FROM current_access ORDER BY ALL")
    assert [row["subject"] for row in held] == ["again", "held"]
    for left in (FIRST_CUT, SECOND_CUT):
        [due] = cutting.due([RetentionClass("all", 90)])
        assert due.held == 0
        before = hours_left(clickhouse)
        clickhouse.run(
            f"ALTER TABLE events DELETE WHERE {due.condition} "
            "SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"
        )
        assert hours_left(clickhouse) == left
        assert due.due == len(before) - len(left)
        assert clickhouse.rows("SELECT subject, role, event_id FROM current_access ORDER BY ALL") == held


def hours_left(clickhouse: ClickHouse) -> list[object]:
    found = clickhouse.rows("SELECT kafka_offset FROM events WHERE kafka_block = 0 ORDER BY ALL")
    return [row["kafka_offset"] for row in found]


def test_a_revoke_stays_while_a_held_grant_does(tables: tuple[Settings, ClickHouse]) -> None:
    settings, clickhouse = tables
    insert(
        clickhouse,
        [
            grant("kept", "reader", hour, action, service=service, kafka_offset=100 + hour)
            for hour, (action, service) in enumerate(
                [("grant", "a"), ("revoke", "b"), ("grant", "b"), ("revoke", "b")]
            )
        ],
    )
    cutting = Cutting(clickhouse, settings.database, lambda: LATER)
    [due] = cutting.due([RetentionClass("of b", 90, services=("b",))])
    assert due.due == 1  # the second grant; both revokes end what is kept of service a
