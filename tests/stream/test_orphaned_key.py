"""Keys that outlive their owners."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, World, event, key

from keytrail.schemas.records import Event, Key
from keytrail.stream.errors import StateFormError
from keytrail.stream.keys import departures
from keytrail.stream.policies.policy import OrphanLimits, Policy

OWNED = key("pk_1", owner="erin")


def leaves(day: int, who: str = "erin", **fields: object) -> Event:
    return event(action="delete", subject=who, occurred_at=NOON + day * DAY, **fields)


def uses(day: int, **fields: object) -> Event:
    return event(key_id="pk_1", subject=None, actor_id="export", occurred_at=NOON + day * DAY, **fields)


def returns(day: int) -> Event:
    return event(action="grant", subject="erin", role="reader", reason="x", occurred_at=NOON + day * DAY)


def found(*steps: Event | Key, policy: Policy | None = None, batch: int = 1000) -> dict[str, int]:
    """Count by key of the findings that are open, once all is judged that is due."""
    world = World(policy=policy, clock=lambda: NOON + 90 * DAY)
    for step in steps:
        if isinstance(step, Key):
            world.learn(step)
        else:
            world.send(step, batch=batch)
    world.learn()
    return {
        entity: anomaly.count
        for (rule, entity, _), anomaly in world.current().items()
        if rule == "orphaned_key" and anomaly.status != "resolved"
    }


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([leaves(0), uses(1)], {"pk_1": 1}),
        ([leaves(0), uses(1, outcome="denied"), uses(2)], {"pk_1": 2}),
        ([leaves(1), uses(1)], {}),
        ([uses(1), leaves(2)], {}),
        ([leaves(0, "somebody"), uses(1)], {}),
        ([leaves(0, outcome="denied"), uses(1)], {}),
        ([leaves(0, role="reader"), uses(1)], {}),
        ([leaves(0, actor_id="erin"), uses(1)], {}),
        ([leaves(0), returns(1), uses(2)], {}),
        ([returns(-1), leaves(0), uses(2)], {"pk_1": 1}),
        ([leaves(0), returns(1), leaves(2), uses(4)], {"pk_1": 1}),
    ],
)
def test_a_key_may_be_used_for_a_day_after_its_owner_left(
    steps: list[Event], expected: dict[str, int]
) -> None:
    assert found(OWNED, *steps) == expected


def test_revokes_that_tidy_up_behind_the_leaver_are_no_return() -> None:
    tidy = event(action="revoke", subject="erin", role="reader", occurred_at=NOON + DAY)
    assert found(OWNED, returns(-1), leaves(0), tidy, uses(2)) == {"pk_1": 1}


def test_the_policy_says_how_long() -> None:
    at_once = Policy(orphans=OrphanLimits(grace_days=0))
    assert found(OWNED, leaves(0), uses(0), policy=at_once) == {"pk_1": 1}


def test_a_key_that_does_not_work_is_another_rules() -> None:
    assert found(key("pk_1", owner="erin", revoked_at=NOON), leaves(0), uses(2)) == {}


def test_a_key_that_is_given_to_somebody_else_is_an_orphan_no_more() -> None:
    given = key("pk_1", owner="frank", version=2)
    assert found(OWNED, leaves(0), uses(2), given) == {}
    assert found(OWNED, leaves(0, "frank"), uses(2)) == {}
    assert found(OWNED, leaves(0, "frank"), uses(2), given) == {"pk_1": 1}


@settings(max_examples=200, deadline=None)
@given(
    st.permutations([OWNED, leaves(0), returns(3), leaves(5), uses(1), uses(2), uses(4), uses(7), uses(8)])
)
def test_events_and_keys_may_come_in_any_order(steps: list[Event | Key]) -> None:
    assert found(*steps) == {"pk_1": 2}


def test_other_partitions_are_told_who_left_and_who_is_back() -> None:
    world = World([OWNED], clock=lambda: NOON + 90 * DAY)
    [output] = world.send(leaves(0), leaves(0, "frank"), returns(-5))
    assert [departures.read(one.key, one.value) for one in output.departures] == [
        ("erin", NOON),
        ("frank", NOON),
    ]
    [output] = world.send(returns(1))
    assert [departures.read(one.key, one.value) for one in output.departures] == [("erin", None)]
    [output] = world.send(uses(2), returns(3))
    assert [one.value for one in output.departures] == [None]


def test_a_departure_of_a_later_form_is_refused() -> None:
    with pytest.raises(StateFormError):
        departures.read(b"erin", json.dumps([2, NOON]).encode())
