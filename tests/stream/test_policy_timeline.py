"""Policies that are applied one after the other: each event is judged by the one of its offset."""

import json
from functools import cache

import pytest
from world import NOON, World, event, key

from keytrail.producers.simulation import Simulation
from keytrail.schemas.applied import AppliedPolicy, pack, unpack
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Anomaly, Event, Key
from keytrail.stream.errors import UnreadablePolicyError
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline

EVENTS = 3_000
SWITCHES = {
    1_903: "sprawl: {least_roles: 5}\nburst: {given: 10}",
    2_417: "rules: {missing_reason: {enabled: false}}",
}


def applied(start: int, text: str, policy_id: str = "", partition: int = 0) -> AppliedPolicy:
    text = f"version: 1\n{text}"
    version = parse_policy(text, "").version if "future" not in text else "0" * 12
    return AppliedPolicy(
        policy_id or f"at-{start}",
        version,
        text,
        "carol",
        "pk_admin",
        "tuning",
        None,
        NOON,
        {partition: start},
    )


@cache
def history() -> tuple[tuple[Key, ...], tuple[Event, ...]]:
    simulation = Simulation(EVENTS, seed=5)
    return tuple(simulation.keys()), tuple(simulation.events())


def world() -> World:
    keys, events = history()
    latest = max(event.occurred_at for event in events)
    one = World(keys, clock=lambda: latest)
    for start, text in SWITCHES.items():
        one.policies.take(applied(start, text))
    return one


Found = set[tuple[str, str, str, str, int, str, tuple[str, ...]]]


def found(one: World) -> Found:
    """Without role sprawl that is over: see `running.lasting`."""

    def row(a: Anomaly) -> tuple[str, str, str, str, int, str, tuple[str, ...]]:
        is_open = "resolved" if a.status == "resolved" else "open"
        return a.rule, a.entity, a.cause, is_open, a.count, a.policy_version, tuple(a.evidence)

    rows = {row(anomaly) for anomaly in one.current().values()}
    return {some for some in rows if (some[0], some[3]) != ("role_sprawl", "resolved")}


@cache
def reference() -> Found:
    one = world()
    one.send(*history()[1], batch=500)
    return found(one)


@pytest.mark.parametrize("batch", [1, 17, 5_000])
def test_the_same_findings_by_the_same_policies_in_any_batches(batch: int) -> None:
    one = world()
    one.send(*history()[1], batch=batch)
    assert found(one) == reference()
    assert len({row[5] for row in reference()}) == 3


def test_the_same_after_a_restart_between_the_switches() -> None:
    events = history()[1]
    first, second = world(), world()
    first.send(*events[:2_200], batch=17)
    second.adopt_log(first)
    for name, value in first.changelog:
        second.events.restore(name, value)
    for name, value in first.finding_changelog:
        second.findings.restore(name, value)
    second.anomalies += first.anomalies
    second.send(*events[2_200:], batch=1_000)
    assert found(second) == reference()


def test_a_batch_that_straddles_the_point_is_judged_by_both() -> None:
    one = World()
    one.policies.take(applied(1, "rules: {unknown_key: {severity: critical}}"))
    one.send(event(key_id="pk_x"), event(key_id="pk_y"), event(key_id="pk_x"))
    current = one.current()
    before, after = (current["unknown_key", name, ""] for name in ("pk_x", "pk_y"))
    assert after.policy_version == one.policies.latest.version
    assert (after.severity, before.severity) == ("critical", "critical")
    assert before.count == 2
    one = World()
    one.policies.take(applied(1, "rules: {unknown_key: {severity: critical}}"))
    one.send(event(key_id="pk_x"), event(key_id="pk_y"))
    first = one.current()["unknown_key", "pk_x", ""]
    assert (first.severity, first.policy_version) == ("high", Policy().version)


def test_what_is_judged_anew_is_judged_by_the_policy_of_its_time() -> None:
    one = World()
    one.policies.take(applied(1, "rules: {revoked_key: {severity: low}}"))
    one.send(event(key_id="pk_1"), event(key_id="pk_2"))
    one.learn(*(key(name, status="revoked", revoked_at=NOON - 1) for name in ("pk_1", "pk_2")))
    severities = {name: a.severity for (rule, name, _), a in one.current().items() if rule == "revoked_key"}
    assert severities == {"pk_1": "high", "pk_2": "low"}


def test_other_exceptions_hold_from_when_they_are_known() -> None:
    one = World()
    one.send(event(key_id="pk_x"))
    name = ("unknown_key", "pk_x", "")
    assert one.current()[name].status == "open"
    excepted = "exceptions: [{rule: unknown_key, entity: pk_*, owner: bob, reason: soon, until: 2099-01-01}]"
    one.policies.take(applied(5, excepted))
    assert one.findings.has_untold
    assert one.current()[name].status == "suppressed"
    one.policies.take(applied(6, ""))
    assert one.current()[name].status == "open"


def test_each_partition_has_its_own_point() -> None:
    timeline = Timeline(Policy())
    first, second = (
        applied(7, "orphans: {grace_days: 2}"),
        applied(9, "orphans: {grace_days: 3}", partition=1),
    )
    for one in (first, second, first):
        timeline.take(one)
    days = [[timeline.at(p, at).orphans.grace_days for at in (0, 6, 7, 100)] for p in (0, 1)]
    # Where a policy names no offset it counts from the beginning: the partition is younger.
    assert days == [[3, 3, 3, 3], [2, 2, 2, 3]]
    assert timeline.latest.version == second.version


def test_a_policy_of_a_later_keytrail_is_refused_where_it_counts() -> None:
    timeline = Timeline(Policy())
    timeline.take(applied(4, "future_field: 1"))
    assert timeline.at(0, 3) == Policy()
    with pytest.raises(UnreadablePolicyError, match=r"(?s)applied by carol.*future_field.*Start the workers"):
        timeline.at(0, 4)


def test_records_are_read_as_they_were_written() -> None:
    one = applied(3, "")
    assert unpack(pack(one)) == one
    form, fields = json.loads(pack(one))
    for other in (b"", b"{}", b"[2, {}]", json.dumps([form, {**fields, "more": 1}]).encode()):
        with pytest.raises(SchemaError):
            unpack(other)
