"""Who changes teams, and what it still holds."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, World, event

from keytrail.schemas.records import Event
from keytrail.stream.access.membership import KEPT_TEAMS
from keytrail.stream.policies.policy import MoverLimits, Policy

Found = dict[str, str]


def seen(day: int, team: str | None, **fields: object) -> Event:
    attributes = {"team": team} if team else {}
    return event(occurred_at=NOON + day * DAY, attributes=attributes, **fields)


def grant(day: int, team: str | None, role: str = "ledger-reader") -> Event:
    return seen(day, team, action="grant", role=role, reason="asked")


def revoke(day: int, team: str, role: str = "ledger-reader") -> Event:
    return seen(day, team, action="revoke", role=role, reason="moves")


def found(*events: Event, policy: Policy | None = None, batch: int = 1000) -> Found:
    """Status by the team that was left."""
    world = World(policy=policy, clock=lambda: NOON + 400 * DAY)
    world.send(*events, batch=batch)
    return {
        cause: "resolved" if anomaly.status == "resolved" else "open"
        for (rule, _, cause), anomaly in world.current().items()
        if rule == "mover_keeps_roles"
    }


MOVED = (grant(0, "ledger"), seen(3, "ledger"), seen(4, "cards"))


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([seen(18, "cards")], {}),
        ([seen(19, "cards")], {"ledger": "open"}),
        ([revoke(10, "cards"), seen(19, "cards")], {}),
        ([seen(19, "cards"), revoke(20, "cards")], {"ledger": "resolved"}),
        ([seen(19, "cards"), grant(20, "cards")], {"ledger": "resolved"}),
        ([grant(5, "cards"), seen(19, "cards")], {}),
        ([seen(19, "cards"), seen(20, "ledger")], {"ledger": "resolved"}),
        ([seen(19, None)], {"ledger": "open"}),
        ([seen(19, "cards", action="use", outcome="denied")], {"ledger": "open"}),
    ],
)
def test_roles_of_the_old_team_are_kept_for_two_weeks(later: list[Event], expected: Found) -> None:
    assert found(*MOVED, *later) == expected
    granted, *others = MOVED
    for order in permutations((*others, *later)):
        was_open = {t for t, status in found(granted, *order, batch=1).items() if status == "open"}
        assert was_open == {team for team, status in expected.items() if status == "open"}


def test_the_finding_names_the_roles_and_their_grants() -> None:
    world = World(clock=lambda: NOON + 90 * DAY)
    other = grant(1, "ledger", "ledger-writer")
    world.send(*MOVED, other, grant(5, "cards", "cards-reader"), seen(30, "cards"))
    anomaly = world.current()["mover_keeps_roles", "alice", "ledger"]
    assert anomaly.evidence == [MOVED[0].event_id, other.event_id]
    assert anomaly.details == {"roles": "ledger-reader, ledger-writer", "team": "cards"}


def test_where_no_team_is_stated_nobody_moves() -> None:
    assert found(grant(0, None), seen(40, None)) == {}
    assert found(grant(0, None), seen(1, "cards"), seen(40, "cards")) == {}
    assert found(grant(0, "ledger"), seen(40, None)) == {}


def test_the_policy_says_how_long_and_which_roles_are_of_no_team() -> None:
    workplace = grant(0, "ledger", "workplace-member")
    assert found(workplace, seen(4, "cards"), seen(40, "cards")) == {}
    strict = Policy(movers=MoverLimits(grace_days=0, common_roles=()))
    assert found(workplace, seen(1, "cards"), seen(2, "cards"), policy=strict) == {"ledger": "open"}
    lax = Policy(movers=MoverLimits(grace_days=60))
    assert found(*MOVED, seen(40, "cards"), policy=lax) == {}


def test_who_was_seldom_seen_before_it_moved_has_as_long() -> None:
    seldom = (grant(0, "ledger"), seen(40, "cards"))
    assert found(*seldom, seen(54, "cards")) == {}
    assert found(*seldom, seen(55, "cards")) == {"ledger": "open"}


def test_a_team_that_is_no_longer_remembered_was_left_long_ago() -> None:
    moves = [seen(day, f"team-{day}") for day in range(1, KEPT_TEAMS + 2)]
    assert found(grant(0, "ledger"), *moves) == {"ledger": "open"}


_lives = st.lists(
    st.builds(
        lambda day, team, action: seen(day, team, action=action, role="reader"),
        st.integers(0, 60),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["use", "use", "grant", "revoke"]),
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(_lives, st.randoms(use_true_random=False), st.sampled_from([1, 4, 1000]))
def test_the_order_of_arrival_does_not_matter(life: list[Event], chance: Random, batch: int) -> None:
    first = grant(-1, "a", "other")
    shuffled = list(life)
    chance.shuffle(shuffled)
    in_order = sorted(life, key=lambda one: (one.occurred_at, one.event_id))
    ends = [found(first, *events, batch=batch) for events in (shuffled, in_order)]
    still = [{team for team, status in end.items() if status == "open"} for end in ends]
    assert still[0] == still[1]
