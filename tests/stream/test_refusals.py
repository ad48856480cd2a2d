"""Denials, then a success."""

import pytest
from world import NOON, SECOND, World, event, key

from keytrail.schemas.records import Anomaly, Event

MINUTE = 60 * SECOND


def tries(many: int, outcome: str = "denied", action: str = "use") -> list[Event]:
    return [attempt(number, outcome, action) for number in range(many)]


def attempt(minute: float, outcome: str = "success", action: str = "use", **fields: object) -> Event:
    at = NOON + round(minute * MINUTE)
    told = {"key_id": "pk_1", "subject": None, **fields}
    return event(**told, action=action, outcome=outcome, occurred_at=at, recorded_at=at)


def found(world: World) -> list[Anomaly]:
    return [anomaly for anomaly in world.current().values() if anomaly.rule == "denials_then_success"]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_refused_often_and_then_let_in(batch: int) -> None:
    world = World([key()])
    refused = tries(11)
    world.send(*refused, attempt(12), batch=batch)
    [anomaly] = found(world)
    assert (anomaly.entity, anomaly.cause, anomaly.count) == ("pk_1", "use", 11)
    assert set(anomaly.evidence) <= {one.event_id for one in refused}


@pytest.mark.parametrize(
    "events",
    [
        [*tries(9), attempt(12)],
        tries(20),
        [*tries(11), attempt(12, action="create")],
        [*tries(11), attempt(60)],
        [*tries(11, "failure"), attempt(12)],
        [attempt(-1), *tries(11)],
    ],
    ids=["few", "never let in", "another action", "much later", "failures", "let in before"],
)
def test_near_misses(events: list[Event]) -> None:
    world = World([key()])
    world.send(*events)
    assert found(world) == []


def test_a_failed_login_is_a_refusal() -> None:
    world = World([key()])
    world.send(*tries(10, "failure", "login"), attempt(12, action="login"))
    assert [one.cause for one in found(world)] == ["login"]


def test_word_of_the_refusals_may_come_after_the_success() -> None:
    world = World([key()])
    world.send(attempt(12), *tries(11), batch=1)
    assert len(found(world)) == 1


def test_refusals_outlive_a_restart() -> None:
    first, second = World([key()]), World([key()])
    first.send(*tries(11))
    for name, value in first.changelog:
        second.events.restore(name, value)
    for name, value in first.finding_changelog:
        second.findings.restore(name, value)
    second.send(attempt(12))
    assert len(found(second)) == 1


def test_grants_that_are_refused_for_some_and_succeed_for_another() -> None:
    world = World([key()])
    refused = [attempt(number, "denied", "grant", subject=f"user-{number}") for number in range(10)]
    world.send(*refused, attempt(11, action="grant", subject="user-11"))
    assert [one.cause for one in found(world)] == ["grant"]
