"""What is exported on a person: all rows that name them, and nobody else's."""

from collections.abc import Iterator

import pytest
from own_tables import grant, insert, own_tables

from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.person import rows_of

NAMES = ["ann", "anna", "al", 'a"l', "back\\slash", "sam/ops", "zoë", "it's", "person-" + "0a" * 16]


@pytest.fixture(scope="module")
def tables(settings: Settings) -> Iterator[ClickHouse]:
    with own_tables(settings, "person") as (_, clickhouse):
        insert(clickhouse, (grant(name, "reader", 1) for name in NAMES))
        insert(clickhouse, ({"key_id": f"k{i}", "owner": name} for i, name in enumerate(NAMES)), "keys")
        found = ({"anomaly_id": f"a{i}", "details": {"actor": name}} for i, name in enumerate(NAMES))
        insert(clickhouse, found, "anomalies")
        torn = ({"value": f"\x02x{chr(2 * len(name.encode()))}{name}\x04on"} for name in NAMES)
        insert(clickhouse, torn, "dead_letters")
        yield clickhouse


@pytest.mark.parametrize("name", NAMES)
def test_a_person_has_the_rows_that_name_them_and_no_others(tables: ClickHouse, name: str) -> None:
    number = NAMES.index(name)
    found = list(rows_of(tables, [name]))
    assert [table for table, _ in found] == ["events", "keys", "anomalies", "dead_letters"]
    assert found[0][1]["subject"] == name
    assert (found[1][1]["key_id"], found[2][1]["anomaly_id"]) == (f"k{number}", f"a{number}")
    assert f"{name}\x04on" in str(found[3][1]["value"])


def test_a_pseudonym_is_found_in_what_it_sealed(tables: ClickHouse) -> None:
    pseudonym = "person-" + "1b" * 16
    insert(tables, [{"key_id": "sealed", "reason": f"enc1:{pseudonym}:0123456789abcdef:AAAA"}], "keys")
    assert [row["key_id"] for _, row in rows_of(tables, [pseudonym])] == ["sealed"]
