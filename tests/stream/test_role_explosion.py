"""Teams with more roles than anybody can look after."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, World, event

from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Event
from keytrail.stream.access.census import RoleCensus
from keytrail.stream.policies.policy import ExplosionLimits, Policy

FOUR = Policy(explosion=ExplosionLimits(least_roles=4, share=0.5, new_days=7, settled_days=30))


def change(
    action: str, subject: str, role: str, day: int = 0, team: str | None = "ledger", **fields: object
) -> Event:
    attributes = {"team": team} if team else {}
    at = NOON + day * DAY
    return event(
        action=action, subject=subject, role=role, occurred_at=at, attributes=attributes, reason="x", **fields
    )


def grants(subject: str, *roles: str, day: int = 0, **fields: object) -> list[Event]:
    return [change("grant", subject, role, day, **fields) for role in roles]


def shared_grants(*roles: str, day: int = 0, **fields: object) -> list[Event]:
    """Each role goes to two, and no two roles to the same two."""
    return [
        one for role in roles for who in ("x", f"of-{role}") for one in grants(who, role, day=day, **fields)
    ]


def world_of(events: Iterable[Event], batch: int = 1000, policy: Policy = FOUR) -> World:
    world = World(policy=policy, clock=lambda: NOON + 400 * DAY)
    world.send(*events, batch=batch)
    return world


def found(world: World) -> dict[str, int]:
    """Open findings by cause, with their counts."""
    return {
        cause: anomaly.count
        for (rule, _, cause), anomaly in world.current().items()
        if rule == "role_explosion" and anomaly.status != "resolved"
    }


def test_many_roles_of_one_holder_each() -> None:
    world = world_of([*grants("alice", "a", "b", "c"), *grants("bob", "d"), *grants("carol", "d")])
    assert found(world) == {}, "three are not enough"
    world.send(*grants("bob", "f"))
    assert found(world) == {"one holder": 4}
    [anomaly] = [a for a in world.current().values() if a.rule == "role_explosion"]
    assert (anomaly.entity_type, anomaly.entity) == ("team", "ledger")
    assert anomaly.summary == "4 of the 5 roles of ledger have one holder each."
    world.send(*grants("carol", "a"))
    assert found(world) == {}
    assert world.current()["role_explosion", "ledger", "one holder"].status == "resolved"


def test_a_small_share_of_a_large_team_is_not_many() -> None:
    shared = [one for number in range(5) for one in shared_grants(f"s{number}")]
    assert found(world_of([*shared, *grants("alice", "a", "b", "c", "d")])) == {}


def test_roles_that_nobody_holds_any_more() -> None:
    taken = [change("revoke", "alice", role, 1) for role in "abc"]
    world = world_of([*grants("alice", "a", "b", "c", "d"), *taken])
    assert "nobody" not in found(world)
    world.send(event(action="delete", subject="alice", occurred_at=NOON + 2 * DAY))
    assert found(world) == {"nobody": 4}
    world.send(*grants("bob", "a", day=3))
    assert found(world) == {}


def test_roles_that_give_the_same() -> None:
    world = world_of(shared_grants(*"abc", permissions=["p", "q"]))
    assert found(world) == {}
    world.send(*shared_grants("d", permissions=["q", "p", "p"]), *grants("y", "d", permissions=["q", "p"]))
    assert found(world) == {"identical": 4}
    world.send(*grants("x", "d", day=1, permissions=["q"]))
    assert found(world) == {}, "what its latest grant states counts"


def test_roles_that_the_same_people_hold() -> None:
    every = [one for who in ("x", "y") for one in grants(who, *"abcd")]
    world = world_of([*every, *grants("z", "d")])
    assert found(world) == {}, "one has a holder more"
    world.send(change("revoke", "z", "d", 1))
    assert found(world) == {"same holders": 4}
    summary = world.current()["role_explosion", "ledger", "same holders"].summary
    assert summary == "4 of the 4 roles of ledger are held by the very holders of another."
    world.send(*grants("x", "a", day=2))
    assert found(world) == {"same holders": 4}, "granted anew to one who holds it"
    world.send(change("revoke", "y", "a", 3))
    assert found(world) == {}


def test_holders_that_an_earlier_version_told_of_are_not_taken_for_the_same() -> None:
    census, policy = RoleCensus(), replace(FOUR, explosion=ExplosionLimits(2, 0.5))
    world = World(policy=policy)
    told = [
        signal
        for output in world.send(*[one for who in ("x", "y") for one in grants(who, *"ab")])
        for signal in output.signals
        if signal.holdings
    ]
    for signal in told:
        old = [replace(holding, holder="") for holding in signal.holdings]
        list(census.take(replace(signal, holdings=old), policy))
    figures = census.figures("ledger", policy)
    assert (figures.roles, figures.one_holder, figures.same_holders) == (2, 0, 0)


def test_roles_that_state_no_permissions_are_like_no_other() -> None:
    every = [one for who in ("x", "y") for one in grants(who, *"abcdefgh")]
    assert found(world_of(every)) == {"same holders": 8}


@pytest.mark.parametrize(
    ("first", "days", "expected"),
    [
        (-40, [0, 1, 2, 3], {"new": 4}),
        (-40, [0, 4, 8, 12], {}),
        (-40, [0, 1, 2], {}),
        (-40, [0, 1, 2, 3, 90], {"new": 4}),
        (-40, [90, 3, 2, 1, 0], {"new": 4}),
        (-30, [0, 1, 2, 3], {}),
    ],
)
def test_a_spate_of_new_roles_in_a_team_that_is_known(first: int, days: list[int], expected: object) -> None:
    old = shared_grants(*(f"old{n}" for n in range(9)), day=first)
    new = [one for day in days for one in shared_grants(f"new{day}", day=day)]
    assert found(world_of([*old, *new])) == expected


def test_roles_whose_grants_state_no_team_are_of_none() -> None:
    assert found(world_of(grants("alice", *"abcdefgh", team=None))) == {}


def test_a_role_that_is_granted_by_another_team_goes_over_to_it() -> None:
    world = world_of(grants("alice", *"abcd"))
    assert found(world) == {"one holder": 4}
    world.send(*grants("alice", *"abcd", day=1, team="cards"))
    names = {(a.entity, c): a.status for (r, _, c), a in world.current().items() if r == "role_explosion"}
    assert names["cards", "one holder"] == "open"
    assert names["ledger", "one holder"] == "resolved"


def test_by_itself_it_takes_thirty() -> None:
    assert found(world_of(grants("alice", *(f"r{n}" for n in range(29))), policy=Policy())) == {}
    assert found(world_of(grants("alice", *(f"r{n}" for n in range(30))), policy=Policy())) == {
        "one holder": 30
    }


_Step = tuple[str, str, str, str, tuple[str, ...]]
_steps = st.lists(
    st.tuples(
        st.sampled_from(["grant", "grant", "grant", "revoke", "delete"]),
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from("abcdefg"),
        st.sampled_from(["ledger", "ledger", "cards"]),
        st.sampled_from([("p",), ("q",), ()]),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(_steps, st.sampled_from([1, 7, 1000]), st.integers(0, 40))
def test_the_figures_are_those_of_counting_anew(
    steps: list[tuple[str, str, str, str, tuple[str, ...]]], batch: int, cut: int
) -> None:
    events = []
    for number, (action, subject, role, team, permissions) in enumerate(steps):
        one = change(action, subject, role, team=team, permissions=list(permissions))
        one = replace(one, occurred_at=NOON + number * SECOND, actor_id="idp")
        events.append(replace(one, role=None) if action == "delete" else one)
    before, world = World(policy=FOUR), World(policy=FOUR)
    before.send(*events[:cut], batch=batch)
    for name, value in before.changelog:
        world.events.restore(name, value)
    for name, value in before.finding_changelog:
        world.findings.restore(name, value)
    world.send(*events[cut:], batch=batch)
    census = RoleCensus()
    for name, value in (*before.finding_changelog, *world.finding_changelog):
        if census.keeps(name):
            census.restore(name, value)
    held, known, gives = _counted(events)
    for team, roles in known.items():
        figures = census.figures(team, FOUR)
        holders = Counter(role for (_, role), at in held.items() if at == team)
        alike = Counter(gives[team, role] for role in holders if gives[team, role])
        assert figures.roles == len(roles)
        assert figures.one_holder == sum(count == 1 for count in holders.values())
        assert figures.nobody == len(roles) - len(holders)
        holds = Counter(
            frozenset(who for (who, other), at in held.items() if (other, at) == (role, team))
            for role in holders
        )
        assert figures.same_holders == sum(n for who, n in holds.items() if n > 1 and len(who) > 1)
        assert figures.identical == sum(alike[gives[team, role]] > 1 for role in holders if gives[team, role])


def _counted(
    events: Iterable[Event],
) -> tuple[dict[tuple[str, str], str], dict[str, set[str]], dict[tuple[str, str], frozenset[str]]]:
    """Who holds which role of which team, the roles of each team, and what they give."""
    held: dict[tuple[str, str], str] = {}
    known: dict[str, set[str]] = {}
    gives: dict[tuple[str, str], frozenset[str]] = {}
    for one in events:
        name = (one.whose, one.role or "")
        if one.action == "grant":
            team = one.attributes["team"]
            held[name] = team
            known.setdefault(team, set()).add(name[1])
            gives[team, name[1]] = frozenset(one.permissions)
        elif one.action == "revoke":
            held.pop(name, None)
        else:
            held = {other: team for other, team in held.items() if other[0] != one.whose}
    return held, known, gives


def test_the_order_in_which_partitions_are_read_makes_no_difference() -> None:
    simulation = Simulation(5_000, seed=5)
    keys, events = list(simulation.keys()), list(simulation.events())

    def found(some: Iterable[Event]) -> set[tuple[str, str, int, tuple[str, ...]]]:
        world = World(keys, clock=lambda: events[-1].occurred_at)
        world.send(*some)
        return {
            (a.entity, a.cause, a.count, tuple(a.evidence))
            for a in world.current().values()
            if a.rule == "role_explosion" and a.status != "resolved"
        }

    in_time = found(events)
    assert {cause for _, cause, *_ in in_time} >= {"new", "one holder", "nobody"}
    assert found(sorted(events, key=lambda one: crc32(one.whose.encode()) % 4)) == in_time
