"""`keytrail anomalies ack` and `close` on a running pipeline."""

import uuid
from typing import Any

import pytest
from running import Pipeline
from waiting import wait_until
from world import event

from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher

Out = pytest.CaptureFixture[str]


def use(pipeline: Pipeline) -> None:
    publisher = EventPublisher(pipeline.settings)
    publisher.publish(
        event(event_id=str(uuid.uuid4()), key_id="pk_lost", occurred_at=system_clock()), wait=True
    )
    publisher.close(60)


def finding(pipeline: Pipeline) -> dict[str, Any]:
    rows = pipeline.clickhouse.rows(
        "SELECT anomaly_id, status, toInt32(count) AS count, details FROM anomalies_current "
        "WHERE rule = 'unknown_key'"
    )
    return rows[0] if rows else {"status": "", "count": 0}


def wait_for(pipeline: Pipeline, status: str, count: int) -> dict[str, Any]:
    wait_until(
        lambda: (finding(pipeline)["status"], finding(pipeline)["count"]) == (status, count),
        lambda: str(finding(pipeline)),
    )
    return finding(pipeline)


def test_findings_are_acknowledged_closed_and_opened_again(pipeline: Pipeline, capsys: Out) -> None:
    use(pipeline)
    name = wait_for(pipeline, "open", 1)["anomaly_id"]
    act = ("anomalies", "ack", name[:12], "--reason", "I look into it", "--by", "carol")
    assert pipeline.command(*act) == 2
    assert "an admin's key" in capsys.readouterr().err
    assert pipeline.command("keys", "issue", "--owner", "dave", "--kind", "human", "--reason", "first") == 0

    assert pipeline.command(*act) == 0
    wait_for(pipeline, "acknowledged", 1)
    capsys.readouterr()
    assert pipeline.command(*act) == 1
    assert f"Finding {name} is acknowledged already, by carol at " in capsys.readouterr().err

    assert pipeline.command("anomalies", "close", name, "--reason", "a test", "--by", "erin") == 0
    closed = wait_for(pipeline, "closed", 1)
    assert (closed["details"]["triaged_by"], closed["details"]["triaged_reason"]) == ("erin", "a test")
    capsys.readouterr()
    assert pipeline.command("anomalies", "close", name, "--reason", "again") == 1
    assert "closed already, by erin" in capsys.readouterr().err
    assert pipeline.command("anomalies", "--rule", "unknown_key") == 0
    assert "closed by erin" in capsys.readouterr().out

    [told] = pipeline.clickhouse.rows(
        "SELECT actor_id, reason, key_status, signature FROM events WHERE action = 'close_finding'"
    )
    assert told == {
        "actor_id": "erin",
        "reason": "a test",
        "key_status": "active",
        "signature": "verified",
    }
    use(pipeline)
    wait_for(pipeline, "open", 2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("0" * 32, "--reason", "r"), 1, "There is no finding"),
        (("abc", "--reason", "r"), 2, "is too short"),
        (("0" * 32, "--reason", " "), 2, "The reason is empty"),
    ],
)
def test_used_wrongly(
    pipeline: Pipeline, arguments: tuple[str, ...], code: int, said: str, capsys: Out
) -> None:
    assert pipeline.command("anomalies", "close", *arguments) == code
    assert said in capsys.readouterr().err
