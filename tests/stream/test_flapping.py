"""Roles that come and go."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, World, event

from keytrail.schemas.records import Event
from keytrail.stream.access.role import KEPT_TURNS
from keytrail.stream.policies.policy import FlappingLimits, Policy

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def spells(*begins: int, held: int = 5 * MINUTE, role: str = "helper") -> list[Event]:
    """For each begin (after noon) a grant, and a revoke so much later."""
    changes = []
    for begin in begins:
        for action, at in (("grant", NOON + begin), ("revoke", NOON + begin + held)):
            approved = {"ticket": "T-1", "approved_by": "carol"}
            changes.append(event(action=action, role=role, occurred_at=at, recorded_at=at, **approved))
    return changes


def world_after(*events: Event, policy: Policy | None = None, batch: int = 1000) -> World:
    world = World(policy=policy, clock=lambda: NOON + 90 * DAY)
    world.send(*events, batch=batch)
    return world


def status(world: World, role: str = "helper") -> str | None:
    anomaly = world.current().get(("flapping", "alice", role))
    return anomaly.status if anomaly else None


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        ((0, HOUR), None),
        ((0, HOUR, 2 * HOUR), "open"),
        ((0, 2 * HOUR, 4 * HOUR - 5 * MINUTE), "open"),
        ((0, 2 * HOUR, 4 * HOUR), None),
    ],
)
def test_three_times_within_four_hours_is_flapping(begins: tuple[int, ...], expected: str | None) -> None:
    assert status(world_after(*spells(*begins))) == expected


def test_the_finding_names_every_grant_and_revoke() -> None:
    changes = spells(0, HOUR, 2 * HOUR)
    anomaly = world_after(*changes).current()["flapping", "alice", "helper"]
    assert anomaly.evidence == [change.event_id for change in changes]
    assert anomaly.details == {"times": "3", "shortest_seconds": "300"}


@pytest.mark.parametrize(
    ("role", "held", "expected"),
    [
        ("db-admin", 10 * MINUTE, "open"),
        ("db-admin", 10 * MINUTE + 1, None),
        ("helper", MINUTE, None),
    ],
)
def test_a_privileged_role_that_was_held_for_minutes(role: str, held: int, expected: str | None) -> None:
    assert status(world_after(*spells(0, held=held, role=role)), role) == expected


def test_grants_and_revokes_that_repeat_themselves_are_one() -> None:
    grant, revoke = spells(0)
    again = [
        event(action=one.action, role="helper", occurred_at=one.occurred_at + 1) for one in (grant, revoke)
    ]
    assert status(world_after(grant, again[0], revoke, again[1], *spells(HOUR))) is None


def test_refused_changes_and_other_roles_do_not_count() -> None:
    refused = [
        event(action="revoke", role="helper", outcome="denied", occurred_at=NOON + n) for n in range(5)
    ]
    others = [change for n in range(3) for change in spells(n * HOUR, role=f"helper-{n}")]
    assert world_after(*refused, *others).rules() <= {"missing_reason"}


def test_it_resolves_once_the_role_is_calm() -> None:
    world = world_after(*spells(0, HOUR, 2 * HOUR))
    world.send(*spells(9 * HOUR))
    assert status(world) == "resolved"
    brief = world_after(*spells(0, role="db-admin"))
    brief.send(*spells(32 * DAY, held=HOUR, role="db-admin"))
    assert status(brief, "db-admin") == "resolved"


def test_the_policy_says_how_often_and_how_fast() -> None:
    policy = Policy(flapping=FlappingLimits(times=2, within_hours=1, brief_minutes=1))
    assert status(world_after(*spells(0, 50 * MINUTE), policy=policy)) == "open"
    assert status(world_after(*spells(0, HOUR), policy=policy)) is None
    assert status(world_after(*spells(0, role="db-admin"), policy=policy), "db-admin") is None


def test_what_is_kept_of_a_role_is_bounded_and_outlives_a_restart() -> None:
    world = world_after(*spells(*range(0, 40 * HOUR, HOUR)), batch=7)
    _, value = next(change for change in reversed(world.changelog) if change[0] == b"subject/alice")
    assert value is not None
    assert value.count(b"-") < 5 * (KEPT_TURNS + 3), "no more ids than turns are kept"
    later = World(clock=lambda: NOON + 90 * DAY)
    for name, kept in world.changelog:
        later.events.restore(name, kept)
    for name, kept in world.finding_changelog:
        later.findings.restore(name, kept)
    later.send(*spells(60 * HOUR))
    assert status(later) == "resolved"


@pytest.mark.parametrize("order", list(permutations(spells(0, HOUR, 2 * HOUR)[1:])))
def test_the_order_of_arrival_does_not_matter(order: tuple[Event, ...]) -> None:
    first = spells(0)[0]
    assert status(world_after(first, *order, batch=1)) == "open"


_changes = st.lists(
    st.tuples(
        st.sampled_from(["grant", "revoke"]), st.integers(0, 45 * 24 * 6), st.sampled_from(["a", "root"])
    ),
    min_size=2,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(_changes, st.randoms(use_true_random=False), st.sampled_from([1, 5, 1000]))
def test_any_history_gives_the_same_in_any_order(
    changes: list[tuple[str, int, str]], chance: Random, batch: int
) -> None:
    events = [
        event(action=action, role=role, occurred_at=NOON + tens * 10 * MINUTE)
        for action, tens, role in changes
    ]
    shuffled = list(events)
    chance.shuffle(shuffled)
    in_order = sorted(events, key=lambda one: (one.occurred_at, one.event_id))
    for role in ("a", "root"):
        shown = [status(world_after(*some, batch=batch), role) == "open" for some in (shuffled, in_order)]
        assert shown[0] == shown[1]
