"""`keytrail suspender` on a running pipeline: once for a finding, never a break-glass key, and killed."""

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from running import Pipeline, running_part
from sink_support import Feed, anomaly
from waiting import wait_until

from keytrail.schemas import topics
from keytrail.schemas.records import Anomaly

Out = pytest.CaptureFixture[str]


def issue(pipeline: Pipeline, name: str, *flags: str) -> None:
    issued = ("keys", "issue", "--id", name, "--owner", "robot", "--kind", "service", "--reason", "test")
    assert pipeline.command(*issued, *flags) == 0


def shown(pipeline: Pipeline, name: str, capsys: Out) -> dict[str, Any]:
    capsys.readouterr()
    assert pipeline.command("keys", "show", name, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def found(name: str, **fields: object) -> Anomaly:
    return anomaly(
        anomaly_id=str(uuid.uuid4()),
        **{
            "rule": "revoked_key",
            "severity": "critical",
            "entity_type": "key",
            "entity": name,
            "cause": "",
            **fields,
        },
    )


def test_keys_are_suspended_once_for_a_finding(pipeline: Pipeline, capsys: Out) -> None:
    for name in ("k1", "k2", "k3", "k4"):
        issue(pipeline, name)
    issue(pipeline, "glass", "--break-glass")
    policy = pipeline.data_dir / "policy.yaml"
    policy.write_text("version: 1\nauto_suspend: {rules: [revoked_key], most_an_hour: 3}\n")
    assert pipeline.command("policy", "apply", str(policy), "--reason", "test") == 0
    feed = Feed(pipeline.settings)

    def tell(*some: Anomaly) -> None:
        for one in some:
            feed.records(topics.ANOMALIES, "anomaly", [one], key=one.entity)

    def status(name: str) -> str:
        return str(shown(pipeline, name, capsys)["status"])

    with running_part("suspender", pipeline.data_dir) as part:
        first = found("k1")

        def told_until_it_has_begun() -> bool:
            tell(first)
            return status("k1") == "suspended"

        wait_until(told_until_it_has_begun, "k1 is suspended")
        assert pipeline.command("keys", "resume", "k1", "--reason", "it was fine") == 0
        tell(replace(first, revision=2), found("glass"), found("k2"))
        wait_until(lambda: status("k2") == "suspended", "k2 is suspended")
        wait_until(lambda: "it is a break-glass key" in part.log.read_text(), part.log.read_text)
        wait_until(lambda: "has suspended it before" in part.log.read_text(), part.log.read_text)
        part.process.kill()
    assert (status("k1"), status("glass")) == ("active", "active")

    tell(found("k3"))
    with running_part("suspender", pipeline.data_dir) as part:
        wait_until(lambda: status("k3") == "suspended", "k3 is suspended")
        tell(found("k4"))
        wait_until(lambda: "the policy allows no more" in part.log.read_text(), part.log.read_text)
    assert status("k4") == "active"

    wait_until(lambda: len(acts(pipeline)) == 3, lambda: str(acts(pipeline)))
    assert {(act["key"], act["status"]) for act in acts(pipeline)} == {
        ("k1", "active"),
        ("k2", "active"),
        ("k3", "active"),
    }
    [undo] = {act["undo"] for act in acts(pipeline) if act["key"] == "k2"}
    assert undo == 'keytrail keys resume k2 --reason "..."'


def acts(pipeline: Pipeline) -> list[dict[str, str]]:
    rows = pipeline.clickhouse.rows(
        "SELECT attributes['affected_key'] AS key, attributes['keytrail.undo'] AS undo, key_status AS status "
        "FROM events WHERE action = 'suspend_key' AND actor_type = 'system' AND actor_id = 'keytrail'"
    )
    return [{name: str(value) for name, value in row.items()} for row in rows]
