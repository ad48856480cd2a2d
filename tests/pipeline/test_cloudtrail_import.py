"""A real attack exercise, recorded by CloudTrail, through the whole pipeline."""

import os
from pathlib import Path

import pytest
from running import FindingRow, Pipeline, expected_findings
from waiting import wait_until

from keytrail.producers.cloudtrail import Problem, read_events
from keytrail.schemas.topics import EVENTS
from keytrail.sinks.lag import read_lag

LOGS = Path(__file__).parents[3] / "shared" / "data" / "cloudtrail-stratus"
RECORDS = 2900

pytestmark = pytest.mark.skipif(
    not LOGS.is_dir(), reason="the CloudTrail exercise is not beside the checkout"
)


@pytest.fixture(scope="module")
def expected() -> set[FindingRow]:
    problems: list[Problem] = []
    with Path(os.devnull).open("rb") as nothing:
        events = list(read_events([LOGS], nothing, problems.append))
    assert problems == []
    return expected_findings([], events)


@pytest.fixture(scope="module")
def imported(pipeline: Pipeline, expected: set[FindingRow]) -> Pipeline:
    assert pipeline.command("import", "cloudtrail", str(LOGS)) == 0
    pipeline.wait_for_rows(RECORDS)
    pipeline.wait_for_findings(expected)
    return pipeline


def found(pipeline: Pipeline, rule: str) -> set[tuple[str, str]]:
    return {(f.entity, f.cause) for f in pipeline.findings() if f.rule == rule}


def test_every_record_is_one_row_also_after_a_second_import(
    imported: Pipeline, expected: set[FindingRow]
) -> None:
    assert imported.rows() == (RECORDS, RECORDS)
    assert imported.command("import", "cloudtrail", str(LOGS)) == 0
    kafka = imported.settings.kafka
    wait_until(
        lambda: sum(lag.lag for lag in read_lag(kafka) if lag.topic == EVENTS.name) == 0, "all is judged"
    )
    assert imported.command("emit", "login", "--actor", "a-later-event") == 0
    imported.wait_for_rows(RECORDS + 1)
    assert imported.rows() == (RECORDS + 1, RECORDS + 1)
    imported.wait_for_findings(expected)


def test_administrator_access_is_flagged_on_both_that_got_it(imported: Pipeline) -> None:
    assert found(imported, "privileged_grant") == {
        ("stratus-red-team-backdoor-r-role", "AdministratorAccess"),
        ("malicious-iam-user", "AdministratorAccess"),
    }


def test_credentials_made_for_others_are_flagged(imported: Pipeline) -> None:
    assert found(imported, "key_for_other") == {
        ("stratus-red-team-backdoor-u-user", "access key"),
        ("malicious-iam-user", "access key"),
        ("stratus-red-team-nmfalu-gfjyeaypjt", "login profile"),
        ("stratus-red-team-login-profile-user", "login profile"),
    }


def test_the_changed_trust_policy_is_flagged(imported: Pipeline) -> None:
    assert found(imported, "trust_change") == {("stratus-red-team-backdoor-r-role", "")}


def test_each_step_of_the_attack_names_its_way(imported: Pipeline) -> None:
    rows = imported.clickhouse.rows(
        "SELECT rule, entity, details['path'] AS way, count() AS n FROM anomalies_current "
        "WHERE details['path'] != '' GROUP BY ALL"
    )
    assert {(row["rule"], row["entity"], row["way"], str(row["n"])) for row in rows} == {
        (
            "privileged_grant",
            "stratus-red-team-backdoor-r-role",
            "attaching a policy (iam:AttachRolePolicy)",
            "1",
        ),
        ("privileged_grant", "malicious-iam-user", "attaching a policy (iam:AttachUserPolicy)", "1"),
        (
            "key_for_other",
            "stratus-red-team-backdoor-u-user",
            "making a key for another (iam:CreateAccessKey)",
            "1",
        ),
        ("key_for_other", "malicious-iam-user", "making a key for another (iam:CreateAccessKey)", "1"),
        (
            "key_for_other",
            "stratus-red-team-nmfalu-gfjyeaypjt",
            "setting another's password (iam:CreateLoginProfile)",
            "1",
        ),
        (
            "key_for_other",
            "stratus-red-team-login-profile-user",
            "setting another's password (iam:CreateLoginProfile)",
            "1",
        ),
        (
            "trust_change",
            "stratus-red-team-backdoor-r-role",
            "changing who may take on a role (iam:UpdateAssumeRolePolicy)",
            "1",
        ),
    }


def test_the_unregistered_key_is_one_finding_and_not_2104(imported: Pipeline) -> None:
    [finding] = [
        f for f in imported.findings() if f.entity == "AKIATFQR7NSC8Q4X20BJ" and f.rule == "unknown_key"
    ]
    assert finding.count == 2104


def test_the_findings_stay_readable_and_each_has_evidence(imported: Pipeline) -> None:
    findings = imported.findings()
    assert len(findings) < 60
    ids = {event_id for finding in findings for event_id in finding.evidence}
    assert all(finding.evidence for finding in findings)
    [row] = imported.clickhouse.rows(
        "SELECT count() AS known FROM events WHERE toString(event_id) IN splitByChar(',', {ids:String})",
        params={"ids": ",".join(sorted(ids))},
    )
    assert row["known"] == len(ids), "all evidence is in the table"
