"""Rules about duties that should lie in two hands, and about keys and clocks in the wrong ones."""

import itertools
from dataclasses import replace

import pytest
from world import DAY, NOON, SECOND, World, event, key

from keytrail.schemas.records import Event
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.policy import Policy, RuleSetting

APPROVED = {"ticket": "T-1", "approved_by": "carol"}
TRADE = Policy(separations=(Separation("trade", ("*buyer",), ("*payer",)),))


def found(world: World, rule: str) -> set[tuple[str, str]]:
    return {(entity, cause) for name, entity, cause in world.open_findings() if name == rule}


def grant(role: str, at: int = 0, **fields: object) -> Event:
    return event(action="grant", role=role, occurred_at=NOON + at, recorded_at=NOON + at, **fields)


def test_a_role_given_to_oneself_needs_somebody_else() -> None:
    world = World()
    world.send(
        grant("r1", actor_id="alice"),
        grant("r2", actor_id="alice", **APPROVED),
        grant("r3", actor_id="alice", ticket="T-1", approved_by="alice"),
        grant("r4", actor_id="alice", outcome="denied"),
        grant("r5"),
        grant("r6", actor_id="alice", subject=None),
    )
    assert found(world, "self_grant") == {("alice", "r1"), ("alice", "r3"), ("alice", "r6")}


@pytest.mark.parametrize(
    ("approver", "expected"), [("bob", {("bob", "")}), ("alice", {("alice", "")}), ("carol", set())]
)
def test_neither_who_acts_nor_who_gains_approves(approver: str, expected: set[tuple[str, str]]) -> None:
    world = World()
    world.send(grant("r1", approved_by=approver), event(action="use", approved_by=approver))
    assert found(world, "self_approval") == expected


@pytest.mark.parametrize(
    ("permissions", "is_path"),
    [
        (["iam:AttachUserPolicy"], True),
        (["IAM:passrole"], True),
        (["*"], True),
        (["iam:*"], True),
        (["iam:Pass*"], True),
        (["*:*"], True),
        (["iam:List*", "s3:*"], False),
        (["iam:ListAttachedUserPolicies", "iam:GetRole"], False),
        ([], False),
    ],
)
def test_a_role_that_lets_its_holder_take_more_is_a_path(permissions: list[str], is_path: bool) -> None:
    world = World()
    world.send(grant("helper", permissions=permissions))
    assert found(world, "escalation_path") == ({("alice", "helper")} if is_path else set())


def test_a_path_that_is_approved_or_privileged_by_name_is_no_finding_of_its_own() -> None:
    world = World()
    world.send(
        grant("helper", permissions=["iam:PassRole"], **APPROVED),
        grant("administrator", permissions=["iam:PassRole"]),
    )
    assert found(world, "escalation_path") == set()
    assert found(world, "privileged_grant") == {("alice", "administrator")}


def test_an_emergency_key_is_never_used_unseen() -> None:
    world = World([key("pk_glass", break_glass=True), key("pk_1")])
    world.send(event(key_id="pk_glass"), event(key_id="pk_glass", outcome="denied"), event(key_id="pk_1"))
    assert found(world, "break_glass_use") == {("pk_glass", "")}
    assert world.current()["break_glass_use", "pk_glass", ""].count == 2


def test_a_service_does_not_sign_in() -> None:
    world = World([key("pk_s", kind="service"), key("pk_h")])
    world.send(event(action="login", key_id="pk_h"), event(key_id="pk_s"))
    assert found(world, "interactive_service_key") == set()
    world.send(event(action="login", key_id="pk_s", outcome="denied"))
    assert found(world, "interactive_service_key") == {("pk_s", "")}


@pytest.mark.parametrize(("ahead", "expected"), [(120, set()), (121, {("iam", "")})])
def test_no_event_happens_after_it_was_recorded(ahead: int, expected: set[tuple[str, str]]) -> None:
    world = World()
    world.send(event(occurred_at=NOON, recorded_at=NOON - ahead * SECOND))
    assert found(world, "clock_skew") == expected


def test_two_duties_are_kept_apart_in_whichever_order_they_come() -> None:
    one, other = grant("eu-buyer", 1), grant("eu-payer", 2)
    back = event(action="revoke", role="eu-buyer", occurred_at=NOON + 3, recorded_at=NOON + 3)
    for order in itertools.permutations((one, other, back)):
        world = World(policy=TRADE)
        world.send(*order, batch=1)
        assert found(world, "toxic_combination") == set()
    world = World(policy=TRADE)
    world.send(one, other, batch=1)
    assert found(world, "toxic_combination") == {("alice", "trade")}
    anomaly = world.current()["toxic_combination", "alice", "trade"]
    assert anomaly.evidence == [one.event_id, other.event_id]
    world.send(back)
    assert world.current()["toxic_combination", "alice", "trade"].status == "resolved"


def test_one_role_on_both_sides_is_no_combination() -> None:
    policy = Policy(separations=(Separation("trade", ("*buyer*",), ("*payer*",)),))
    world = World(policy=policy)
    world.send(grant("buyer-and-payer"))
    assert found(world, "toxic_combination") == set()


def test_the_two_that_are_named_are_two() -> None:
    world = World(policy=Policy(separations=(Separation("trade", ("*buyer*",), ("*payer*",)),)))
    world.send(grant("buyer-and-payer", 1), grant("payer-2", 2))
    assert "buyer-and-payer and payer-2" in world.current()["toxic_combination", "alice", "trade"].summary


def test_a_rule_that_was_off_finds_what_holds_once_it_is_on() -> None:
    off = replace(TRADE, rules=(RuleSetting("toxic_combination", enabled=False),))
    world = World(policy=off)
    world.send(grant("eu-buyer", 1), grant("eu-payer", 2))
    assert found(world, "toxic_combination") == set()
    later = World(policy=TRADE)
    for name, value in world.changelog:
        later.events.restore(name, value)
    later.send(grant("reader", 3))
    assert found(later, "toxic_combination") == {("alice", "trade")}


def test_what_was_found_together_outlives_a_restart() -> None:
    world = World(policy=TRADE)
    world.send(grant("eu-buyer", 1), grant("eu-payer", 2))
    later = World(policy=TRADE)
    for name, value in world.changelog:
        later.events.restore(name, value)
    for name, value in world.finding_changelog:
        later.findings.restore(name, value)
    later.send(event(action="revoke", role="eu-payer", occurred_at=NOON + 3))
    assert later.current()["toxic_combination", "alice", "trade"].status == "resolved"


def test_a_role_lent_for_a_time_is_overdue_until_it_is_taken_back() -> None:
    world = World(clock=lambda: NOON + 9 * DAY)
    lent = grant("helper", expires_at=NOON + SECOND)
    world.send(lent, grant("other", expires_at=NOON + 30 * DAY), event(occurred_at=NOON + DAY))
    assert found(world, "overdue_grant") == set()
    world.send(event(occurred_at=NOON + 2 * DAY, role="helper"))
    assert found(world, "overdue_grant") == {("alice", "helper")}
    assert world.current()["overdue_grant", "alice", "helper"].evidence == [lent.event_id]
    world.send(event(action="revoke", role="helper", occurred_at=NOON + 3 * DAY))
    assert found(world, "overdue_grant") == set()
    world.send(grant("other", 4 * DAY), event(occurred_at=NOON + 9 * DAY))
    assert found(world, "overdue_grant") == set()
