"""Changes that are made when none are to be made."""

import re
from datetime import UTC, date, datetime

import pytest
from world import DAY, World, event, key

from keytrail.schemas.hours import day_of_hours
from keytrail.stream.policies.file import parse_policy, policy_text
from keytrail.stream.policies.policy import ChangeWindow, Policy
from keytrail.stream.policies.problems import PolicyError

HOURS = ("Mon-Thu 08:00-16:00 Europe/Berlin", "Fri 08:00-12:00 Europe/Berlin", "Sat 22:00-02:00 UTC")
WINDOW = ChangeWindow("releases", ("grant", "update_*"), ("prod*",), HOURS, ("2026-12-24",), ("INC-*",))


def micros(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def found(at: str, *keys: object, policy: Policy | None = None, **fields: object) -> set[tuple[str, str]]:
    world = World(keys, policy or Policy(change_windows=(WINDOW,)), clock=lambda: micros("2027-12-31"))  # type: ignore[arg-type]
    change = {"action": "grant", "role": "reader", "reason": "asked", "environment": "production", **fields}
    world.send(event(occurred_at=micros(at), recorded_at=micros(at), **change))
    return {(entity, cause) for rule, entity, cause in world.current() if rule == "outside_change_window"}


OUTSIDE = {("bob", "releases")}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-14T07:00", set()),  # a Monday; in winter Berlin is an hour ahead
        ("2026-12-14T06:59", OUTSIDE),
        ("2026-12-14T14:59", set()),
        ("2026-12-14T15:00", OUTSIDE),
        ("2026-06-15T06:00", set()),  # and in summer two
        ("2026-12-18T10:59", set()),  # a Friday
        ("2026-12-18T11:00", OUTSIDE),
        ("2026-12-19T21:59", OUTSIDE),
        ("2026-12-20T01:59", set()),  # Saturday's hours, on Sunday
        ("2026-12-20T02:00", OUTSIDE),
        ("2026-12-24T10:00", OUTSIDE),  # a Thursday on which there are none
    ],
)
def test_changes_are_made_within_hours_on_days_that_count(at: str, expected: set[tuple[str, str]]) -> None:
    assert found(at) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "revoke"},
        {"environment": "staging"},
        {"environment": None},
        {"outcome": "denied"},
        {"ticket": "inc-77"},
        {"key_id": "pk_glass"},
    ],
)
def test_other_changes_and_emergencies_may_be_made_at_any_time(fields: dict[str, object]) -> None:
    night = "2026-12-14T23:00"
    keys = (key("pk_glass", break_glass=True), key("pk_1"))
    assert found(night, *keys, key_id="pk_1", ticket="CHG-1", action="update_role") == OUTSIDE
    assert found(night, *keys, **fields) == set()


def test_a_key_that_turns_out_to_be_for_emergencies_takes_the_finding_back() -> None:
    world = World(policy=Policy(change_windows=(WINDOW,)), clock=lambda: micros("2027-12-31"))
    at = micros("2026-12-14T23:00")
    world.send(event(action="grant", role="r", reason="x", key_id="pk_1", occurred_at=at, recorded_at=at))
    assert ("outside_change_window", "bob", "releases") in world.open_findings()
    world.learn(key("pk_1", issued_at=at - DAY, break_glass=True))
    assert ("outside_change_window", "bob", "releases") not in world.open_findings()


def test_by_itself_it_is_about_policies_of_production_alone() -> None:
    saturday = "2026-12-19T12:00"
    assert found(saturday, policy=Policy()) == set()
    assert found(saturday, policy=Policy(), action="update_trust") == {("bob", "production policies")}
    assert found(saturday, policy=Policy(change_windows=()), action="update_trust") == set()


def test_hours_past_midnight_are_of_the_day_on_which_they_began() -> None:
    assert day_of_hours("Sat 22:00-02:00 UTC", micros("2026-12-20T01:00")) == date(2026, 12, 19)
    assert day_of_hours("Sat 22:00-02:00 UTC", micros("2026-12-19T01:00")) is None


def test_the_policy_file_tells_windows_and_says_what_is_wrong_with_them() -> None:
    policy = Policy(change_windows=(WINDOW,))
    assert parse_policy(policy_text(policy), "") == policy
    wrong = "version: 1\nchange_windows:\n- {name: a, actions: [x], environments: [y], hours: [at night]}"
    with pytest.raises(
        PolicyError, match=re.escape('3: change_windows[0].hours[0] is "at night"; write hours such')
    ):
        parse_policy(wrong, "policy.yaml")
