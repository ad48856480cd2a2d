"""Every query of the SQL cookbook runs, as a reader may run it, and finds something in a made-up company."""

import re
from pathlib import Path

import pytest
from confluent_kafka import Producer
from running import Pipeline

from keytrail.schemas.topics import EVENTS
from keytrail.sinks.clickhouse.http import ClickHouse

PAGE = Path(__file__).parents[2] / "docs" / "sql-cookbook.md"
QUESTIONS = re.findall(
    r"^## (\d+\. [^\n]*)\n\n```sql\n(.*?)\n```", PAGE.read_text(), re.MULTILINE | re.DOTALL
)
MANY = 20_000


def one(clickhouse: ClickHouse, query: str) -> str:
    [row] = clickhouse.rows(query)
    return str(row["it"])


@pytest.fixture(scope="module")
def company(pipeline: Pipeline) -> Pipeline:
    assert pipeline.command("simulate", "--events", str(MANY), "--seed", "7") == 0
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap})
    producer.produce(EVENTS.name, b"no event", b"somebody")
    assert producer.flush(30) == 0
    pipeline.wait_for_rows(MANY)
    return pipeline


@pytest.fixture(scope="module")
def params(company: Pipeline) -> dict[str, str]:
    """Things to ask about that are there."""
    ask = company.clickhouse
    most = "SELECT {0} AS it FROM {1} GROUP BY it ORDER BY count() DESC, it LIMIT 1"
    subject = one(ask, most.format("subject", "current_access"))
    pair = ask.rows(
        "SELECT a.role AS role, b.role AS other FROM current_access AS a "
        "INNER JOIN current_access AS b USING (subject) WHERE a.role < b.role ORDER BY role, other LIMIT 1"
    )[0]
    teams = "SELECT team AS it FROM sprawl_by_team GROUP BY it ORDER BY max(roles) DESC, it LIMIT 1"
    late = "SELECT toString(quantileExact(0.9)(occurred_at)) AS it FROM access_changes"
    return {
        "subject": subject,
        "role": str(pair["role"]),
        "other": str(pair["other"]),
        "day": one(ask, late),
        "since": one(ask, "SELECT toString(min(occurred_at)) AS it FROM events"),
        "team": one(ask, teams),
        "key": one(ask, most.format("key_id", "events WHERE key_id IN (SELECT key_id FROM keys)")),
        "owner": one(ask, most.format("owner", "keys_current")),
        "resource": one(ask, most.format("resource", "events WHERE resource != ''")),
        "finding": one(
            ask, "SELECT anomaly_id AS it FROM anomalies_current ORDER BY revision DESC, it LIMIT 1"
        ),
    }


def test_the_page_has_its_questions() -> None:
    assert len(QUESTIONS) >= 25
    assert len(QUESTIONS) == PAGE.read_text().count("```sql")


@pytest.mark.parametrize(("question", "query"), QUESTIONS, ids=[name for name, _ in QUESTIONS])
def test_each_question_is_answered(
    company: Pipeline, params: dict[str, str], question: str, query: str
) -> None:
    asked = {name: params[name] for name in re.findall(r"\{(\w+):", query)}
    assert company.clickhouse.rows(query, params=asked), question
