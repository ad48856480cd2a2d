"""Findings in the forms of others: OCSF and CloudEvents."""

import json
from dataclasses import replace

import pytest

from keytrail.schemas.records import Anomaly
from keytrail.sinks.cloud_events import envelope
from keytrail.sinks.ocsf import detection_finding

FOUND = Anomaly(
    anomaly_id="00112233445566778899aabbccddeeff",
    revision=3,
    rule="self_grant",
    rule_version=1,
    severity="high",
    status="updated",
    entity_type="subject",
    entity="alice",
    cause="reader",
    first_seen=1_780_000_000_000_000,
    last_seen=1_780_000_060_000_000,
    count=2,
    evidence=["a", "b"],
    summary="alice gave itself the role reader, and nobody else approved it.",
    remedy="Revoke reader from alice.",
    technique="T1098.003",
    policy_version="abc",
    details={"service": "iam"},
    emitted_at=1_780_000_061_500_000,
)


def test_a_finding_has_all_that_ocsf_asks_for() -> None:
    found = detection_finding(FOUND)
    assert (found["class_uid"], found["category_uid"], found["activity_id"]) == (2004, 2, 2)
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert (found["time"], found["severity_id"], found["status_id"]) == (1_780_000_061_500, 4, 1)
    assert found["metadata"]["product"]["name"] == "keytrail"
    assert found["finding_info"]["uid"] == FOUND.anomaly_id
    assert found["finding_info"]["attacks"] == [{"technique": {"uid": "T1098.003"}}]
    assert [event["uid"] for event in found["finding_info"]["related_events"]] == ["a", "b"]
    assert found["unmapped"] == {"service": "iam", "cause": "reader", "policy_version": "abc"}
    assert found["remediation"] == {"desc": "Revoke reader from alice."}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("status", "activity", "state"),
    [("open", 1, 1), ("updated", 2, 1), ("suppressed", 2, 3), ("resolved", 3, 4), ("new word", 99, 99)],
)
def test_each_status_has_its_place(status: str, activity: int, state: int) -> None:
    found = detection_finding(replace(FOUND, status=status))
    assert (found["activity_id"], found["status_id"]) == (activity, state)


def test_what_is_not_known_is_left_out() -> None:
    found = detection_finding(replace(FOUND, technique=None, remedy="", severity="extreme"))
    assert found["finding_info"]["attacks"] == []
    assert "remediation" not in found
    assert found["severity_id"] == 99


def test_the_envelope_names_the_record_and_not_the_sending() -> None:
    sent = envelope(FOUND, detection_finding(FOUND))
    assert sent["id"] == "00112233445566778899aabbccddeeff/3"
    assert (sent["specversion"], sent["type"]) == ("1.0", "keytrail.anomaly.updated")
    assert (sent["subject"], sent["time"]) == ("subject/alice", "2026-05-28T20:27:41.500000Z")
    assert sent == envelope(FOUND, detection_finding(FOUND))
