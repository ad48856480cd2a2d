"""The rules that need an event and its key alone."""

import pytest
from world import DAY, NOON, World, event, key

from keytrail.producers.simulation import Simulation
from keytrail.stream.detections.catalogue import CONDUCT_RULES, EVENT_RULES, RULES, EventRule
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.keys.keys import NO_KEY, UNKNOWN_KEY, KeyAtEvent, KeyDirectory, usable
from keytrail.stream.policies.policy import Policy
from keytrail.stream.stages import judging


def found(world: World, rule: str) -> set[tuple[str, str]]:
    return {(entity, cause) for name, entity, cause in world.current() if name == rule}


def test_a_key_nobody_registered_is_one_finding_however_often_it_is_used() -> None:
    world = World()
    world.send(*(event(key_id="AKIA1") for _ in range(2104)), batch=500)
    [anomaly] = world.current().values()
    assert (anomaly.rule, anomaly.entity, anomaly.count) == ("unknown_key", "AKIA1", 2104)
    assert len(world.anomalies) < 10, "a burst is a handful of records"
    assert len(anomaly.evidence) == 10


def test_an_event_without_a_key_is_not_an_unknown_key() -> None:
    world = World()
    world.send(event(key_id=None), event(key_alias="sha256:abc"))
    assert world.rules() == set()


def test_an_alias_stands_for_its_key() -> None:
    world = World([key("pk_1", aliases=["sha256:abc"], scope_actions=["login"])])
    world.send(event(key_alias="sha256:abc", action="use"))
    assert found(world, "out_of_scope") == {("pk_1", "action")}


@pytest.mark.parametrize("status", ["expired", "revoked", "suspended"])
def test_a_key_is_judged_at_the_time_of_the_event(status: str) -> None:
    since = {"expired": "expires_at", "revoked": "revoked_at", "suspended": "suspended_at"}[status]
    world = World([key(**{since: NOON})])
    world.send(event(key_id="pk_1", occurred_at=NOON - 1))
    assert world.rules() == set()
    world.send(event(key_id="pk_1", occurred_at=NOON))
    assert world.rules() == {f"{status}_key"}


@pytest.mark.parametrize(
    ("scope", "inside", "outside", "cause"),
    [
        ({"scope_actions": ["use", "log*"]}, {"action": "login"}, {"action": "create"}, "action"),
        ({"scope_roles": ["reader*"]}, {"role": "Reader-eu"}, {"role": "writer"}, "role"),
        ({"scope_resources": ["db/*"]}, {"resource": "db/1"}, {"resource": "s3/1"}, "resource"),
        (
            {"scope_environments": ["staging"]},
            {"environment": "staging"},
            {"environment": "production"},
            "environment",
        ),
        (
            {"scope_networks": ["10.0.0.0/8"]},
            {"source_ip": "10.1.2.3"},
            {"source_ip": "192.0.2.1"},
            "network",
        ),
        (
            {"scope_hours": "Thu 20:00-21:00 UTC"},
            {"occurred_at": NOON},
            {"occurred_at": NOON + DAY},
            "hours",
        ),
    ],
)
def test_a_key_keeps_to_its_scope(
    scope: dict[str, object], inside: dict[str, object], outside: dict[str, object], cause: str
) -> None:
    world = World([key(**scope)], clock=lambda: NOON + 2 * DAY)
    world.send(event(key_id="pk_1", **inside))
    assert world.rules() == set()
    world.send(event(key_id="pk_1", **outside))
    assert found(world, "out_of_scope") == {("pk_1", cause)}


def test_what_an_event_does_not_state_is_not_out_of_scope() -> None:
    scope = {
        "scope_roles": ["a"],
        "scope_resources": ["b"],
        "scope_environments": ["c"],
        "scope_networks": ["::/0"],
    }
    world = World([key(**scope)])
    world.send(
        event(key_id="pk_1", environment=None),
        event(key_id="pk_1", environment=None, source_ip="AWS Internal"),
    )
    assert world.rules() == set()


def test_a_privileged_grant_is_flagged_unless_another_approved_it() -> None:
    world = World()
    grant = {"action": "grant", "role": "AdministratorAccess", "reason": "asked"}
    world.send(event(**grant, ticket="T-1", approved_by="carol"))
    assert world.rules() == set()
    world.send(event(**grant, ticket="T-1", approved_by="bob"))
    world.send(event(**grant, outcome="denied", subject="mallory"))
    assert found(world, "privileged_grant") == {("alice", "AdministratorAccess")}


def test_issuing_a_key_for_another_is_flagged_unless_the_key_is_scoped_for_it() -> None:
    world = World([key("pk_hr", scope_actions=["issue_key", "grant"])])
    issue = {"action": "issue_key", "reason": "new", "resource": "login profile"}
    world.send(event(**issue, key_id="pk_hr"), event(**issue, subject="bob"), event(**issue, subject=None))
    assert world.rules() == set()
    world.send(event(**issue))
    assert found(world, "key_for_other") == {("alice", "login profile")}


def test_a_changed_trust_policy_is_flagged() -> None:
    world = World()
    world.send(event(action="update_trust", reason="asked", subject="deploy-role"))
    assert found(world, "trust_change") == {("deploy-role", "")}


def test_an_access_change_without_a_reason_counts_against_its_key_or_service() -> None:
    world = World([key()])
    world.send(
        event(action="revoke", role="r", key_id="pk_1"),
        event(action="grant", role="r"),
        event(action="grant", role="r", ticket="T-1"),
        event(action="use", key_id="pk_1"),
    )
    assert found(world, "missing_reason") == {("pk_1", ""), ("iam", "")}


def test_a_rule_that_fails_is_itself_a_finding_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[Verdict]:
        raise ZeroDivisionError

    broken.__module__ = "keytrail.stream.detections.broken"
    monkeypatch.setattr(judging, "EVENT_RULES", (EventRule(broken, ()), *judging.EVENT_RULES))
    world = World()
    [output] = world.send(event(key_id="AKIA1"))
    assert len(output.enriched) == 1
    assert set(world.current()) == {
        ("rule_failure", "broken", "ZeroDivisionError"),
        ("unknown_key", "AKIA1", ""),
    }


def test_no_rule_that_is_not_asked_would_have_fired() -> None:
    scoped = key(scope_actions=["none"], scope_roles=["none"], scope_environments=["none"])
    keys = [NO_KEY, UNKNOWN_KEY]
    keys += [KeyAtEvent(status, scoped) for status in ("active", "expired", "revoked", "suspended")]
    keys.append(KeyAtEvent("active", key(kind="service", break_glass=True)))
    keys.append(KeyAtEvent("active", key(), (key("pk_parent"), key("pk_first", revoked_at=0)), owner_left=0))
    fired = set()
    for one in Simulation(3_000, seed=3).events():
        for at_event in keys:
            for rule in EVENT_RULES:
                if verdicts := list(rule.judge(one, at_event, Policy())):
                    assert rule.may_fire(one.action, at_event.traits, Policy())
                    fired.update(verdict.rule.name for verdict in verdicts)
    others = {"redundant_grant", "toxic_combination", "overdue_grant", "role_sprawl", "rule_failure"}
    others |= {"invalid_signature", "missing_signature", "flapping", "mover_keeps_roles", "expired_exception"}
    others |= {"role_explosion", "orphaned_access", "audit_silence", "break_glass_unreviewed"}
    others |= {"dormant_privileged_key", "sequence_holes"}
    others |= {asked.rule.name for asked in CONDUCT_RULES}
    assert fired == RULES.keys() - others


def test_a_scope_that_cannot_be_read_is_named_and_left_out() -> None:
    good = key(scope_networks=["10.0.0.0/8"], scope_hours="Mon-Fri 08:00-18:00 UTC")
    assert usable(good) == (good, [])
    bad = key(scope_networks=["10.0.0.0/8", "not a network"], scope_hours="at night")
    found, problems = usable(bad)
    assert (found.scope_networks, found.scope_hours) == (["10.0.0.0/8"], None)
    assert len(problems) == 2


def test_an_alias_never_stands_in_for_another_keys_id_nor_outlives_its_key() -> None:
    directory = KeyDirectory()
    directory.apply(key("pk_victim", revoked_at=NOON - 1))
    directory.apply(key("pk_evil", aliases=["pk_victim", "h1"]))
    assert directory.at(event(key_id="pk_victim")).status == "revoked"
    assert directory.apply(key("pk_late", aliases=["h1"])) == ["h1"]
    directory.apply(key("pk_evil", version=2, aliases=[]))
    assert directory.at(event(key_alias="h1")).status == "none"


def test_a_hostile_name_gives_a_signal_of_bounded_size() -> None:
    world = World()
    world.send(event(action="grant", role="admin" * 800, subject="s" * 4_000))
    [anomaly] = [a for a in world.current().values() if a.rule == "privileged_grant"]
    assert max(len(str(value)) for value in vars(anomaly).values()) < 4_000
    world.send(event(action="grant", role="admin" * 800 + "2", subject="s" * 4_000))
    assert len([a for a in world.current().values() if a.rule == "privileged_grant"]) == 2
