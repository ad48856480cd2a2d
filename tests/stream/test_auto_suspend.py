"""Which findings suspend their key by themselves, and what holds them back."""

from dataclasses import replace

import pytest
from world import NOON, SECOND, World, event, key

from keytrail.schemas.records import Anomaly
from keytrail.stream.findings.auto_suspend import LABEL, concerns, hindrance, marked
from keytrail.stream.policies.policy import AutoSuspend

HOUR = 3600 * SECOND
SETTINGS = AutoSuspend(("unknown_key",), most_an_hour=2)


def finding(**fields: object) -> Anomaly:
    one = World()
    one.send(event(key_id="pk_1"))
    [found] = one.current().values()
    return replace(found, severity="critical", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "does"),
    [
        ({}, True),
        ({"status": "updated"}, True),
        ({"status": "closed"}, False),
        ({"status": "suppressed"}, False),
        ({"rule": "self_grant"}, False),
        ({"entity_type": "subject"}, False),
    ],
)
def test_only_open_findings_of_its_rules_about_keys(fields: dict[str, str], does: bool) -> None:
    assert concerns(finding(**fields), SETTINGS) is does


def test_only_critical_ones() -> None:
    assert not concerns(replace(finding(), severity="high"), SETTINGS)


def test_one_finding_suspends_a_key_once() -> None:
    one, found = key(), finding()
    assert hindrance(found, one, [one], SETTINGS, "admin", NOON) == ""
    again = marked(one, found, NOON)
    assert "before" in hindrance(found, again, [again], SETTINGS, "admin", NOON + 9 * HOUR)
    other = replace(found, anomaly_id="other")
    assert hindrance(other, again, [again], SETTINGS, "admin", NOON) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"break_glass": True}, "break-glass"),
        ({"key_id": "admin"}, "keys are suspended with it"),
        ({"status": "revoked"}, "it is revoked"),
    ],
)
def test_keys_that_stay(fields: dict[str, object], why: str) -> None:
    assert why in hindrance(finding(), key(**fields), [], SETTINGS, "admin", NOON)


def test_so_many_an_hour_and_no_more() -> None:
    done = [marked(key(f"pk_{n}"), finding(), NOON + n) for n in range(2)]
    one = key("pk_9")
    other = replace(finding(), anomaly_id="other")
    assert "within the hour" in hindrance(other, one, done, SETTINGS, "admin", NOON + SECOND)
    assert hindrance(other, one, done, SETTINGS, "admin", NOON + HOUR) == ""


def test_a_label_of_another_form_does_no_harm() -> None:
    odd = key(labels={LABEL: "x @ y@z 7@-1", "team": "blue"})
    assert hindrance(finding(), odd, [odd], SETTINGS, "admin", NOON) == ""
    assert marked(odd, finding(), NOON).labels["team"] == "blue"
