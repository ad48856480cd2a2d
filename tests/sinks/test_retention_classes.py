"""Classes of retention: what a file says, and which rows each has."""

from dataclasses import replace
from pathlib import Path

import pytest

from keytrail.schemas.errors import UsageError
from keytrail.schemas.settings import Settings, sections_below
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.retention.classes import RetentionClass, conditions, read_classes

EVENTS = (
    "SELECT 'a' AS id, 'use' AS action, 'app-1' AS service, ['role_sprawl'] AS findings UNION ALL "
    "SELECT 'b', 'user', 'app-2', [] UNION ALL SELECT 'c', 'use', '100%_\\\\', ['missing_reason'] UNION ALL "
    "SELECT 'd', 'grant', 'it''s', []"
)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([RetentionClass("x", 1)], ["abcd"]),
        ([RetentionClass("x", 1, ("use",)), RetentionClass("y", 1)], ["ac", "bd"]),
        ([RetentionClass("x", 1, ("use?",)), RetentionClass("y", 1, ("use*",))], ["b", "ac"]),
        ([RetentionClass("x", 1, ("use",), ("app-*", "it's"))], ["a"]),
        ([RetentionClass("x", 1, services=("100%_\\",))], ["c"]),
        ([RetentionClass("x", 1, services=("1%", "_t's"))], [""]),
        ([RetentionClass("x", 1, severities=("high", "critical")), RetentionClass("y", 1)], ["a", "bcd"]),
        ([RetentionClass("x", 1, severities=("low",)), RetentionClass("y", 1)], ["c", "abd"]),
    ],
)
def test_an_event_is_of_the_first_class_that_has_it(
    settings: Settings, classes: list[RetentionClass], expected: list[str]
) -> None:
    clickhouse = ClickHouse(settings.clickhouse)
    found = []
    for condition in conditions(classes):
        [row] = clickhouse.rows(
            "WITH anomalies AS (SELECT 'role_sprawl' AS rule, 'high' AS severity "
            "UNION ALL SELECT 'role_sprawl', 'low' UNION ALL SELECT 'role_sprawl', 'medium' "
            "UNION ALL SELECT 'missing_reason', 'low') "
            f"SELECT arrayStringConcat(arraySort(groupArray(id))) AS ids FROM ({EVENTS}) WHERE {condition}"
        )
        found.append(row["ids"])
    assert found == expected


def test_a_file_has_its_classes_in_order(tmp_path: Path) -> None:
    file = tmp_path / "keytrail.toml"
    file.write_text('[retention.b]\nkeep = "2w"\nactions = "use, login"\n[retention.a]\nkeep = "7y"\n')
    found = read_classes(sections_below("retention", {"KEYTRAIL_CONFIG": str(file)}))
    first = RetentionClass("b", 14, ("use", "login"))
    assert found == [first, replace(first, name="a", keep_days=7 * 366, actions=())]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "does not say how long"),
        ({"keep": "0d"}, "does not say how long"),
        ({"keep": "for ever"}, "does not say how long"),
        ({"keep": "1y", "subject": "bob"}, "has subject, which means nothing"),
        ({"keep": "1y", "severities": "grave"}, "names severity grave"),
    ],
)
def test_what_is_no_class_is_told(values: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_classes({"logins": values})
