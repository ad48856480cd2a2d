"""A simulated company through the whole pipeline: all that was hidden is found, and nothing else."""

import json
import urllib.request
from pathlib import Path

import clickhouse_connect
import pytest
from running import Pipeline
from waiting import wait_until

EVENTS = 20_000


def test_what_was_hidden_is_found_and_nothing_else(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.jsonl"
    assert pipeline.command("simulate", "--events", str(EVENTS), "--seed", "7", "--truth", str(truth)) == 0
    host, port = pipeline.settings.clickhouse.url.removeprefix("http://").split(":")
    with clickhouse_connect.get_client(host=host, port=int(port), database="keytrail") as client:
        # At once with the sink: other clients read what has landed so far, and are not in the way.
        assert 0 <= client.query("SELECT count() FROM events").result_rows[0][0] <= EVENTS
        query = "SELECT%20count()%20FROM%20keytrail.events%20FORMAT%20JSONCompact"
        url = f"{pipeline.settings.clickhouse.url}/?query={query}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            assert 0 <= int(json.load(answer)["data"][0][0]) <= EVENTS

    pipeline.wait_for_rows(EVENTS)
    capsys.readouterr()
    code = pipeline.command(
        "score", str(truth), "--wait", "120", "--min-recall", "1", "--min-precision", "1", "--json"
    )
    scores = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0, [score for score in scores if score["recall"] < 1 or score["precision"] < 1]
    rules = {json.loads(line)["rule"] for line in truth.read_text().splitlines()}
    assert {score["rule"] for score in scores} == {*rules, "total"}
    assert pipeline.rows() == (EVENTS, EVENTS)


def test_status_tells_parts_and_lag(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.wait_for_rows(EVENTS)
    assert pipeline.command("status", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["part"] for row in rows if "part" in row] == [
        "clickhouse",
        "kafka",
        "registry",
        "worker",
        "sink",
    ]
    lags = {(row["topic"], row["partition"]): row["lag"] for row in rows if "topic" in row}
    assert {topic for topic, _ in lags} == {
        f"keytrail.{name}" for name in ("events", "signals", "enriched", "anomalies", "keys", "deadletter")
    }


def test_bad_records_are_set_aside_and_listed(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    from confluent_kafka import Producer

    producer = Producer(pipeline.settings.kafka.client())
    for value in (None, b"not avro", b"\x00\x7f\xff\xff\xffnobody registered this"):
        producer.produce("keytrail.events", value, b"mallory")
    producer.flush(60)
    wait_until(
        lambda: pipeline.clickhouse.rows("SELECT count() AS n FROM dead_letters")[0]["n"] == 3,
        lambda: "not there",
    )
    assert pipeline.command("deadletter", "list", "--json") == 0
    reasons = {json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()}
    assert reasons == {"null_value", "bad_magic", "unknown_schema"}
