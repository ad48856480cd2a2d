"""Keys that outlive their owners."""

import json
from random import Random

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


def lived(*steps: Event | Key, policy: Policy | None = None, batch: int = 1000) -> World:
    """A world after these steps, once all is judged that is due."""
    world = World(policy=policy, clock=lambda: NOON + 90 * DAY)
    for step in steps:
        if isinstance(step, Key):
            world.learn(step)
        else:
            world.send(step, batch=batch)
    world.learn()
    return world


def counts(world: World) -> dict[str, int]:
    """By key, of the findings that are open."""
    return {
        entity: anomaly.count
        for (rule, entity, _), anomaly in world.current().items()
        if rule == "orphaned_key" and anomaly.status != "resolved"
    }


def found(*steps: Event | Key, policy: Policy | None = None, batch: int = 1000) -> dict[str, int]:
    return counts(lived(*steps, policy=policy, batch=batch))


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
    world = World([OWNED, key("pk_2", owner="frank")], clock=lambda: NOON + 90 * DAY)
    [output] = world.send(leaves(0), leaves(0, "frank"), returns(-5))
    assert [departures.read(one.key, one.value) for one in output.departures] == [
        ("erin", NOON),
        ("frank", NOON),
    ]
    [output] = world.send(returns(1))
    assert [departures.read(one.key, one.value) for one in output.departures] == [("erin", None)]
    [output] = world.send(uses(2), returns(3))
    assert [one.value for one in output.departures] == [None]


def test_of_those_who_own_no_key_nobody_is_told_until_they_do() -> None:
    world = World([OWNED], clock=lambda: NOON + 90 * DAY)
    outputs = world.send(*(leaves(0, f"made-up-{number}") for number in range(2_500)), batch=100)
    world.learn()
    assert [one for output in outputs for one in output.departures] == []
    world.learn(key("pk_2", owner="made-up-7"), key("pk_3", owner="somebody"))
    assert world.departures == [("made-up-7", NOON)]
    world.learn(key("pk_2", owner="made-up-8", version=2))
    assert world.departures[1:] == [("made-up-8", NOON)]


def test_a_key_that_comes_while_the_owners_of_all_are_looked_up_does_not_wait_for_them() -> None:
    world = World()
    world.send(leaves(0), leaves(0, "owner-0"), leaves(0, "owner-5999"))
    for number in range(6_000):
        world.directory.apply(key(f"pk_of_{number}", owner=f"owner-{number}"))
    told = [[one.key for one in world.events.due().departures]]
    world.directory.apply(OWNED)
    told += [[one.key for one in world.events.due().departures] for _ in range(3)]
    # Nor are the others forgotten for it.
    assert told == [[b"owner-5999"], [b"erin"], [], [b"owner-0"]]


def test_who_left_before_a_restart_and_comes_to_own_a_key_after_it_is_told() -> None:
    before = World(clock=lambda: NOON + 90 * DAY)
    before.send(leaves(0), leaves(0, "frank"), uses(2))
    after = World([OWNED], clock=lambda: NOON + 90 * DAY)
    for name, value in before.changelog:
        after.events.restore(name, value)
    after.adopt_log(before)
    after.learn()
    assert after.departures == [("erin", NOON)]
    assert ("orphaned_key", "pk_1", "") in after.open_findings()


def test_one_who_is_back_while_owning_no_key_owns_the_next_one_in_order() -> None:
    world = World([OWNED], clock=lambda: NOON + 90 * DAY)
    world.send(leaves(0))
    world.directory.forget("pk_1")
    world.send(returns(1))
    world.learn(key("pk_2", owner="erin"))
    assert world.departures == [("erin", NOON), ("erin", None)]
    # Also where the partition has moved to a worker that heard of the return late.
    world.directory.owner_leaves("erin", NOON)
    world.learn(key("pk_3", owner="erin"))
    assert world.departures[-1] == ("erin", None)


_OWNERS = ("erin", "frank", "gina")
_STEPS = st.one_of(
    st.builds(lambda who, day: ("leaves", who, day), st.sampled_from(_OWNERS), st.integers(0, 9)),
    st.builds(lambda who, day: ("returns", who, day), st.sampled_from(_OWNERS), st.integers(0, 9)),
    st.builds(lambda who, day: ("uses", who, day), st.sampled_from(_OWNERS), st.integers(0, 20)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_STEPS, max_size=12), st.lists(st.sampled_from(_OWNERS), unique=True), st.integers(0, 2**32))
def test_departures_are_no_more_than_owners_and_findings_the_same_in_any_order(
    life: list[tuple[str, str, int]], owning: list[str], seed: int
) -> None:
    """Among many made-up ones, and whether keys are registered before or after their owners leave."""
    steps: list[Event | Key] = [key(f"pk_{owner}", owner=owner) for owner in owning]
    for what, who, day in life:
        at = NOON + day * DAY
        if what == "uses":
            steps.append(event(key_id=f"pk_{who}", subject=None, actor_id="export", occurred_at=at))
        elif what == "leaves":
            steps.append(leaves(day, who))
        else:
            steps.append(event(action="grant", subject=who, role="reader", reason="x", occurred_at=at))
    steps += [leaves(3, f"made-up-{number}") for number in range(5)]
    chance, rows = Random(seed), []
    for order in (steps, steps[::-1], chance.sample(steps, len(steps))):
        world = lived(*order, batch=chance.choice([1, 3, 1000]))
        assert {owner for owner, _ in world.departures} <= set(owning)
        rows.append(counts(world))
    assert rows[1:] == rows[:-1]


def test_a_departure_of_a_later_form_is_refused() -> None:
    with pytest.raises(StateFormError):
        departures.read(b"erin", json.dumps([2, NOON]).encode())
