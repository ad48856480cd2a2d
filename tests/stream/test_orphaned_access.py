"""Roles that stay after the key that gave them was revoked, or its owner left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, World, event, key

from keytrail.schemas.records import Event, Key
from keytrail.stream.policies.policy import OrphanLimits, Policy, RuleSetting
from keytrail.stream.stages.grants import KEPT

WORKS = key("pk_1", owner="erin", aliases=["sha256:1"])
LATER = event(occurred_at=NOON + 60 * DAY, key_id="pk_other")
OTHER = key("pk_other", owner="gina")


def gone(day: int, reason: str = "left the team", **fields: object) -> Key:
    return key(
        "pk_1",
        owner="erin",
        aliases=["sha256:1"],
        version=2,
        revoked_at=NOON + day * DAY,
        reason=reason,
        **fields,
    )


def grants(day: float, subject: str = "alice", role: str = "reader", **fields: object) -> Event:
    at = NOON + int(day * DAY)
    fields = {"key_id": "pk_1", **fields}
    return event(action="grant", subject=subject, role=role, reason="x", occurred_at=at, **fields)


def revokes(day: float, subject: str = "alice", role: str = "reader") -> Event:
    return event(
        action="revoke",
        subject=subject,
        role=role,
        reason="x",
        occurred_at=NOON + int(day * DAY),
        key_id="pk_other",
    )


def leaves(day: int, subject: str = "erin") -> Event:
    return event(
        action="delete", actor_id="hr", subject=subject, occurred_at=NOON + day * DAY, key_id="pk_other"
    )


def lived(*steps: Event | Key, policy: Policy | None = None, batch: int = 1000) -> World:
    """A world after these steps, once all is judged that is due; events between two keys come in batches."""
    world = World([OTHER], policy=policy, clock=lambda: NOON + 90 * DAY)
    events: list[Event] = []
    for step in (*steps, None):
        if isinstance(step, Event):
            events.append(step)
            continue
        for start in range(0, len(events), batch):
            world.send(*events[start : start + batch])
            world.learn()
        events = []
        if step is not None:
            world.learn(step)
    return world


def ever(world: World) -> dict[tuple[str, str], tuple[str, int]]:
    """By key and cause: whether it is open in the end, and how many roles remain."""
    return {
        (entity, cause): ("over" if anomaly.status == "resolved" else "open", anomaly.count)
        for (rule, entity, cause), anomaly in world.current().items()
        if rule == "orphaned_access"
    }


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([WORKS, grants(0), gone(3)], {("pk_1", "revoked"): ("open", 1)}),
        ([WORKS, grants(0), gone(8)], {}),
        ([WORKS, grants(0), gone(3, successor="pk_2")], {}),
        ([WORKS, grants(0), gone(300, "it LEAKED")], {}),
        ([WORKS, grants(0), gone(50, "it LEAKED")], {("pk_1", "compromised"): ("open", 1)}),
        ([WORKS, grants(0), gone(50, "leaked", successor="pk_2")], {("pk_1", "compromised"): ("open", 1)}),
        ([WORKS, grants(0), leaves(3)], {("pk_1", "owner left"): ("open", 1)}),
        ([WORKS, grants(0), leaves(9)], {}),
        ([WORKS, grants(0), leaves(3, "frank")], {}),
        ([WORKS, grants(0, outcome="denied"), gone(1)], {}),
        ([WORKS, grants(0), revokes(1), gone(2)], {}),
        ([WORKS, grants(0), grants(1, key_id="pk_other"), gone(2)], {}),
        ([WORKS, grants(0), leaves(1, "alice"), gone(2)], {}),
        ([WORKS, grants(0), grants(1, role="writer"), gone(2)], {("pk_1", "revoked"): ("open", 2)}),
        ([WORKS, grants(0, key_id=None, key_alias="sha256:1"), gone(2)], {("pk_1", "revoked"): ("open", 1)}),
        # What was given after the end remains too.
        ([WORKS, leaves(0), grants(3)], {("pk_1", "owner left"): ("open", 1)}),
    ],
)
@pytest.mark.parametrize("batch", [1, 1000])
def test_what_a_key_gave_in_its_last_days_is_not_to_outlive_it(
    steps: list[Event | Key], expected: dict[tuple[str, str], tuple[str, int]], batch: int
) -> None:
    assert ever(lived(*steps, LATER, batch=batch)) == expected


@pytest.mark.parametrize("batch", [1, 1000])
@pytest.mark.parametrize("is_known_before", [True, False])
def test_it_is_over_once_the_roles_are_taken_away_or_confirmed(batch: int, *, is_known_before: bool) -> None:
    roles = [grants(0, "alice"), grants(0.1, "bob"), grants(0.2, "carol")]
    ends = [revokes(4, "alice"), grants(5, "bob", key_id="pk_other"), leaves(6, "carol")]
    between = event(occurred_at=NOON + 3 * DAY, key_id="pk_other")
    told = [gone(2), *roles, between] if is_known_before else [WORKS, *roles, between, gone(2)]
    assert ever(lived(*told, batch=batch)) == {("pk_1", "revoked"): ("open", 3)}
    assert ever(lived(*told, *ends, batch=batch)) == {("pk_1", "revoked"): ("over", 0)}
    assert ever(lived(*told, *ends[1:], batch=batch)) == {("pk_1", "revoked"): ("open", 1)}


def test_nothing_is_told_before_its_time_has_come() -> None:
    world = lived(gone(2), grants(0), event(occurred_at=NOON + DAY, key_id="pk_other"))
    assert ever(world) == {}
    world.send(event(occurred_at=NOON + 2 * DAY, key_id="pk_other"))
    world.learn()
    assert ever(world) == {("pk_1", "revoked"): ("open", 1)}


def test_a_restarted_worker_waits_for_it_too() -> None:
    before = lived(gone(2), grants(0))
    after = World([OTHER, gone(2)], clock=lambda: NOON + 90 * DAY)
    for name, value in before.changelog:
        after.events.restore(name, value)
    after.adopt_log(before)
    after.learn()
    assert ever(after) == {}
    after.send(LATER)
    after.learn()
    assert ever(after) == {("pk_1", "revoked"): ("open", 1)}
    # And knows what it has said.
    again = World([OTHER, gone(2)], clock=lambda: NOON + 90 * DAY)
    for name, value in (*before.changelog, *after.changelog):
        again.events.restore(name, value)
    again.adopt_log(after)
    again.learn()
    assert ever(again) == {}
    again.signal(signal for output in again.send(revokes(61)) for signal in output.signals)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("events_before_word", [0, 1])
def test_word_of_a_departure_may_come_late_after_a_restart(restarts: bool, events_before_word: int) -> None:
    """The partition that tells of it is ahead: here no events were as late before the restart."""
    world = lived(WORKS, grants(0))
    world.directory.owner_leaves("erin", NOON + 2 * DAY)
    world.learn()
    if restarts:
        before, world = world, World([OTHER, WORKS], clock=lambda: NOON + 90 * DAY)
        for name, value in before.changelog:
            world.events.restore(name, value)
        world.adopt_log(before)
    for day in range(1, 1 + events_before_word):
        world.send(event(key_id="pk_other", occurred_at=NOON + day * DAY))
    world.directory.owner_leaves("erin", NOON + 2 * DAY)
    world.learn()
    world.send(LATER)
    assert ever(world) == {("pk_1", "owner left"): ("open", 1)}


def test_the_owners_return_takes_it_back_and_a_worse_cause_is_told_besides() -> None:
    returns = event(action="grant", subject="erin", role="reader", reason="x", occurred_at=NOON + 5 * DAY)
    assert ever(lived(WORKS, grants(0), leaves(3), returns, batch=1)) == {("pk_1", "owner left"): ("over", 0)}
    leaked = lived(WORKS, grants(0), leaves(3), LATER, gone(4, "leaked"))
    assert ever(leaked) == {("pk_1", "owner left"): ("open", 1), ("pk_1", "compromised"): ("open", 1)}
    severities = {
        cause: a.severity for (rule, _, cause), a in leaked.current().items() if rule == "orphaned_access"
    }
    assert severities == {"owner left": "medium", "compromised": "high"}


def test_it_says_who_holds_what_and_by_which_grant() -> None:
    gives = grants(0)
    anomaly = lived(WORKS, gives, LATER, gone(2)).current()["orphaned_access", "pk_1", "revoked"]
    assert anomaly.summary.startswith(
        "alice still holds reader, which was granted with key pk_1, which was revoked"
    )
    assert anomaly.evidence == [gives.event_id]
    assert "chain --param key_id=pk_1" in anomaly.remedy


def test_the_latest_grants_of_a_key_are_looked_at() -> None:
    many = [grants(n / 100, role=f"role-{n}") for n in range(2 * KEPT)]
    # Other uses of the key push none of them out.
    uses = [event(key_id="pk_1", occurred_at=NOON + DAY + n) for n in range(2 * KEPT)]
    world = lived(WORKS, *many, *uses, gone(2), LATER)
    assert ever(world) == {("pk_1", "revoked"): ("open", KEPT)}


def test_the_policy_says_how_long_and_whether() -> None:
    steps = [WORKS, grants(0), gone(3), LATER]
    assert ever(lived(*steps, policy=Policy(orphans=OrphanLimits(access_days=2)))) == {}
    off = Policy(rules=(RuleSetting("orphaned_access", enabled=False),))
    assert ever(lived(*steps, revokes(4), policy=off)) == {}


_STEPS = (
    grants(0),
    grants(1, role="writer"),
    grants(2, "bob"),
    grants(3, "bob", "writer"),
    revokes(4),
    grants(4.5, "carol"),
    leaves(5),
    grants(6, "carol", key_id="pk_other"),
    grants(7, "dave"),
    revokes(7.5, "dave"),
    revokes(8, "bob"),
    LATER,
)


@settings(max_examples=200, deadline=None)
@given(st.permutations([*_STEPS, gone(6)]), st.sampled_from([1, 3, 1000]))
def test_events_and_keys_may_come_in_any_order(steps: list[Event | Key], batch: int) -> None:
    found = {name: state for name, state in ever(lived(*steps, batch=batch)).items() if state[0] == "open"}
    assert found == {("pk_1", "owner left"): ("open", 2)}


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(range(len(_STEPS)))), st.sampled_from([1, 2, 3, 5]), st.sampled_from([2, 6]))
def test_what_is_told_does_not_depend_on_the_batches(places: set[int], batch: int, end: int) -> None:
    steps = [_STEPS[place] for place in sorted(places)]

    def all_of(batch: int) -> set[tuple[object, ...]]:
        world = lived(gone(end, "leaked"), *steps, batch=batch)
        return {
            (*name, a.status == "resolved", a.count, a.first_seen, a.last_seen, *a.evidence)
            for name, a in world.current().items()
        }

    assert all_of(batch) == all_of(1000)


def test_a_late_event_of_long_ago_changes_nothing() -> None:
    steps = [WORKS, grants(0), gone(3), LATER, revokes(-1)]
    assert ever(lived(*steps)) == {("pk_1", "revoked"): ("open", 1)}
    assert ever(lived(*steps, grants(-0.5, key_id="pk_other"), grants(1 / SECOND))) == {
        ("pk_1", "revoked"): ("open", 1)
    }
