"""Real logs of an attack exercise, where they are at hand; they are no part of the project."""

import io
from datetime import datetime
from pathlib import Path

import pytest

from keytrail.producers.clock import to_micros
from keytrail.producers.cloudtrail import Problem, read_events
from keytrail.schemas.records import Event

LOGS = Path(__file__).parents[3] / "shared/data/cloudtrail-stratus"


@pytest.fixture(scope="module")
def events() -> list[Event]:
    if not LOGS.is_dir():
        pytest.skip("the logs are not at hand")
    problems: list[Problem] = []
    found = list(read_events([LOGS], io.BufferedReader(io.BytesIO()), problems.append))
    assert problems == []
    return found


def test_every_record_is_an_event_of_its_own(events: list[Event]) -> None:
    assert len(events) == 2900
    assert len({event.event_id for event in events}) == 2900


@pytest.mark.parametrize(
    ("at", "action", "subject", "role"),
    [
        ("12:23:06", "issue_key", "stratus-red-team-nmfalu-gfjyeaypjt", None),
        ("12:24:10", "grant", "stratus-red-team-backdoor-r-role", "AdministratorAccess"),
        ("12:24:11", "update_trust", "stratus-red-team-backdoor-r-role", None),
        ("12:24:29", "issue_key", "stratus-red-team-backdoor-u-user", None),
        ("12:24:49", "create", "malicious-iam-user", None),
        ("12:24:49", "grant", "malicious-iam-user", "AdministratorAccess"),
        ("12:24:50", "issue_key", "malicious-iam-user", None),
        ("12:25:04", "issue_key", "stratus-red-team-login-profile-user", None),
    ],
)
def test_the_steps_of_the_attack_are_told(
    events: list[Event], at: str, action: str, subject: str, role: str | None
) -> None:
    moment = to_micros(datetime.fromisoformat(f"2023-07-10T{at}Z"))
    told = [
        (event.actor_id, event.outcome, event.key_id is not None)
        for event in events
        if (event.occurred_at, event.action, event.subject, event.role) == (moment, action, subject, role)
    ]
    assert told == [("bert-jan", "success", True)]


def test_no_session_token_is_carried(events: list[Event]) -> None:
    assert not [event for event in events if "IQoJb3JpZ2lu" in repr(event)]
