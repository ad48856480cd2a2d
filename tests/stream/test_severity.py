"""Severities by environment and by privilege."""

import pytest
from world import World, event

from keytrail.stream.policies.file import parse_policy, policy_text

SHIFTS = """version: 1
rules: {missing_reason: {severity: medium}}
severity_shifts:
  - {by: 2, rules: [missing_reason], privileged: true}
  - {by: 1, environments: ["prod*"]}
  - {by: -3, environments: [sandbox]}
  - {by: -1, environments: [test], rules: ["*_key"]}
"""


@pytest.mark.parametrize(
    ("environment", "role", "rule", "severity"),
    [
        ("production", "reader", "missing_reason", "high"),
        ("PRODUCTION", "reader", "unknown_key", "critical"),
        ("sandbox", "reader", "unknown_key", "low"),
        ("sandbox", "db-admin", "missing_reason", "critical"),
        ("test", "reader", "unknown_key", "medium"),
        ("test", "reader", "missing_reason", "medium"),
        (None, "reader", "unknown_key", "high"),
    ],
)
def test_the_first_shift_that_fits_counts(
    environment: str | None, role: str, rule: str, severity: str
) -> None:
    policy = parse_policy(SHIFTS, "")
    world = World(policy=policy)
    world.send(event(action="grant", role=role, environment=environment, key_id="pk_x"))
    [found] = [anomaly for (name, _, _), anomaly in world.current().items() if name == rule]
    assert found.severity == severity
    assert parse_policy(policy_text(policy), "") == policy


def test_a_finding_keeps_the_highest_that_its_events_had() -> None:
    world = World(policy=parse_policy(SHIFTS, ""))
    world.send(*(event(key_id="pk_x", environment=where) for where in ("sandbox", "production", "sandbox")))
    found = world.current()["unknown_key", "pk_x", ""]
    assert (found.severity, found.count) == ("critical", 3)
