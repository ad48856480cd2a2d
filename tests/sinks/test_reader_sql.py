"""The reader roles as SQL: each statement is one that ClickHouse reads, hostile names included."""

import pytest

from keytrail.schemas.reader_roles import ROLES
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.reader_sql import reader_sql

TEAMS = ("payments", "it's `odd` \\")


@pytest.fixture
def statements(settings: Settings) -> list[str]:
    script = reader_sql("keytrail", ["keys_current", "anomalies_current"], TEAMS)
    lines = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in lines.split(";\n") if statement.strip()]


def test_each_statement_is_sql(statements: list[str], settings: Settings) -> None:
    clickhouse = ClickHouse(settings.clickhouse)
    for statement in statements:
        # The embedded engine has no users, but it reads what a server would read.
        [row] = clickhouse.rows("SELECT formatQuery({text:String}) AS text", params={"text": statement})
        assert str(row["text"]).startswith(("CREATE ", "GRANT "))


def test_what_the_roles_get(statements: list[str]) -> None:
    assert "GRANT SELECT ON `keytrail`.* TO `keytrail_auditor`" in statements
    of_analyst = {s for s in statements if s.startswith("GRANT") and s.endswith("`keytrail_analyst`")}
    assert {s.split("`.`")[1].split("`")[0] for s in of_analyst} == {
        *(ROLES["analyst"].tables or ()),
        "keys_current",
        "anomalies_current",
    }
    policies = [s for s in statements if s.startswith("CREATE ROW POLICY")]
    assert len(policies) == len(TEAMS) * len(ROLES["owner"].tables or ())
    assert any("USING key_team = 'it\\'s `odd` \\\\' TO" in policy for policy in policies)
