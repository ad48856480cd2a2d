"""Keys that issue keys, and keys that outlive those that issued them."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, World, event, key

from keytrail.schemas.records import Key
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.keys.lineage import MOST_ANCESTORS
from keytrail.stream.policies.policy import LineageLimits, Policy


def line(*names: str, **of_the_first: object) -> list[Key]:
    """Keys, each issued by the one before."""
    parents = (None, *names)
    return [
        key(name, parent_key=parent, **(of_the_first if parent is None else {}))
        for name, parent in zip(names, parents, strict=False)
    ]


def found(world: World, rule: str) -> set[tuple[str, str]]:
    return {(entity, cause) for name, entity, cause in world.open_findings() if name == rule}


@pytest.mark.parametrize(("by", "expected"), [("a", set()), ("b", set()), ("c", {("c", "")})])
def test_the_third_of_a_line_should_issue_no_keys(by: str, expected: set[tuple[str, str]]) -> None:
    world = World(line("a", "b", "c"))
    world.send(event(action="issue_key", key_id=by, reason="x"))
    assert found(world, "key_lineage") == expected


def test_only_keys_that_were_issued_make_a_line_longer() -> None:
    world = World(line("a", "b", "c"), policy=Policy(lineage=LineageLimits(most_depth=3)))
    world.send(event(action="issue_key", key_id="c", reason="x"))
    world.send(event(action="issue_key", key_id="unregistered", reason="x"))
    assert found(world, "key_lineage") == set()
    strict = World(line("a", "b", "c"))
    strict.send(event(action="use", key_id="c"), event(action="issue_key", key_id="c", outcome="denied"))
    assert found(strict, "key_lineage") == set()


@pytest.mark.parametrize(
    ("reason", "days", "expected"),
    [
        ("left the team", 6, None),
        ("left the team", 7, "medium"),
        (None, 7, "medium"),
        ("Key LEAKED on a wiki", 0, "high"),
        ("compromised", -1, None),
    ],
)
def test_a_key_should_not_outlive_those_that_it_descends_from(
    reason: str | None, days: int, expected: str | None
) -> None:
    keys = line("a", "b", "c", revoked_at=NOON - days * DAY, reason=reason)
    world = World(keys)
    world.send(event(key_id="c"), event(key_id="c", outcome="denied"))
    anomaly = world.current().get(("orphaned_child_key", "c", "a"))
    assert (anomaly.severity if anomaly else None) == expected
    assert anomaly is None or anomaly.count == 2


def test_a_key_that_is_revoked_itself_is_not_orphaned() -> None:
    a, b = line("a", "b", revoked_at=NOON - 30 * DAY)
    world = World([a, key("b", parent_key="a", revoked_at=NOON - DAY)])
    world.send(event(key_id=b.key_id))
    assert world.rules() == {"revoked_key"}


def test_uses_are_judged_anew_when_one_above_is_revoked_or_spoken_for() -> None:
    world = World(line("a", "b", "c"))
    world.send(event(key_id="c"), event(key_id="a"))
    world.learn(key("a", version=2, revoked_at=NOON - 9 * DAY, reason="left"))
    assert found(world, "orphaned_child_key") == {("c", "a")}
    world.learn(key("b", version=2, parent_key=None))
    assert found(world, "orphaned_child_key") == set()


def test_a_change_of_a_key_that_says_nothing_of_its_children_has_none_judged_anew() -> None:
    world = World(line("a", "b"))
    world.send(event(key_id="b"))
    assert not world.events.due()
    world.directory.apply(key("a", version=2, labels={"x": "y"}))
    assert not world.events.due()


def test_aliases_are_judged_anew_too() -> None:
    world = World([key("a"), key("b", parent_key="a", aliases=["sha256:b"])])
    world.send(event(key_alias="sha256:b"))
    world.learn(key("a", version=2, revoked_at=NOON - 9 * DAY))
    assert found(world, "orphaned_child_key") == {("b", "a")}


def test_a_circle_and_a_long_line_have_an_end() -> None:
    directory = KeyDirectory()
    for one in (key("a", parent_key="b"), key("b", parent_key="a"), key("self", parent_key="self")):
        directory.apply(one)
    assert [k.key_id for k in directory.at(event(key_id="a")).ancestors] == ["b"]
    assert directory.at(event(key_id="self")).ancestors == ()
    for one in line(*(f"k{n}" for n in range(40))):
        directory.apply(one)
    assert len(directory.at(event(key_id="k39")).ancestors) == MOST_ANCESTORS


_RECORDS = [
    key("a"),
    key("a", version=2, revoked_at=NOON - 8 * DAY, reason="left"),
    key("b", parent_key="a"),
    key("b", version=2, parent_key="a", revoked_at=NOON + DAY, reason="leak"),
    key("c", parent_key="b"),
]


@settings(max_examples=150, deadline=None)
@given(st.permutations([*_RECORDS, *("c", "c", "b")]))
def test_records_and_uses_may_come_in_any_order(order: list[Key | str]) -> None:
    world = World(clock=lambda: NOON + 9 * DAY)
    for number, step in enumerate(order):
        if isinstance(step, Key):
            world.learn(step)
        else:
            world.send(event(key_id=step, occurred_at=NOON + number))
    assert found(world, "orphaned_child_key") == {("c", "a"), ("b", "a")}
    assert world.current()["orphaned_child_key", "c", "a"].count == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_line_is_as_long_in_whichever_order_it_is_registered(order: tuple[int, ...]) -> None:
    world, keys = World(), line("a", "b", "c")
    world.send(event(action="issue_key", key_id="c", reason="x"))
    for place in order:
        world.learn(keys[place])
    assert found(world, "key_lineage") == {("c", "")}
