"""Acknowledged and closed findings: quiet, until more of them comes."""

import uuid
from dataclasses import replace
from itertools import permutations

import pytest
from test_backtest import FixedRegistry, past
from test_forged_event import signed
from world import DAY, NOON, SECOND, World, event, key, records

from keytrail.schemas.records import Anomaly, Event, Micros
from keytrail.schemas.signature import Masters
from keytrail.schemas.triage import ACKNOWLEDGE, CLOSE, attributes_of, resource_of
from keytrail.stream.backtest.backtest import Backtest
from keytrail.stream.findings.findings import anomaly_id
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.policy import Policy

ADMIN = key("pk_admin", owner="carol", scope_actions=[ACKNOWLEDGE, CLOSE])
FINDING = ("unknown_key", "pk_lost", "")
MASTERS = Masters({"m1": bytes(range(32))})


def use(number: int) -> Event:
    return event(key_id="pk_lost", occurred_at=NOON + number * SECOND, event_id=str(uuid.UUID(int=number)))


def decided(action: str, finding: Anomaly, at: Micros = NOON + 60 * SECOND, **fields: object) -> Event:
    base = event(
        action=action,
        service="keytrail",
        actor_id="carol",
        key_id="pk_admin",
        subject=None,
        resource=resource_of(finding.anomaly_id),
        reason="known test",
        occurred_at=at,
        attributes=attributes_of(finding),
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def with_finding(uses: int = 3, **world: object) -> tuple[World, Anomaly]:
    one = World([ADMIN], **world)  # type: ignore[arg-type]
    one.send(*map(use, range(uses)))
    return one, finding_of(one)


def finding_of(one: World) -> Anomaly:
    [found] = [anomaly for name, anomaly in one.current().items() if name[:2] == FINDING[:2]]
    return found


def test_a_closed_finding_says_by_whom_and_opens_again_with_the_next_event() -> None:
    one, finding = with_finding()
    one.send(decided(CLOSE, finding))
    closed = finding_of(one)
    assert (closed.status, closed.count, closed.revision) == ("closed", 3, finding.revision + 1)
    assert {name: closed.details[f"triaged_{name}"] for name in ("by", "key", "reason")} == {
        "by": "carol",
        "key": "pk_admin",
        "reason": "known test",
    }
    one.send(use(7))
    again = finding_of(one)
    assert (again.status, again.count) == ("open", 4)
    assert "triaged_by" not in again.details
    one.send(decided(CLOSE, again, at=NOON + 90 * SECOND))
    assert finding_of(one).status == "closed"


def test_an_acknowledged_finding_is_quiet_while_it_grows() -> None:
    one, finding = with_finding()
    one.send(decided(ACKNOWLEDGE, finding))
    told = len(one.anomalies)
    one.send(*map(use, range(10, 60)))
    assert len(one.anomalies) == told
    assert (finding_of(one).status, finding_of(one).count) == ("acknowledged", 53)


def test_an_acknowledged_finding_that_is_graver_is_told_at_once() -> None:
    one, finding = with_finding()
    one.send(decided(ACKNOWLEDGE, replace(finding, severity="low")))
    assert finding_of(one).status == "open"
    one.send(decided(ACKNOWLEDGE, finding, at=NOON + 61 * SECOND))
    assert finding_of(one).status == "acknowledged"


def test_what_ended_and_came_again_is_not_acknowledged_any_more() -> None:
    one = World([ADMIN], Policy(separations=(Separation("trade", ("buyer",), ("payer",)),)))
    changes = [
        event(action=action, role=role, ticket="T-1", occurred_at=NOON + at * SECOND)
        for at, (action, role) in enumerate(
            [("grant", "buyer"), ("grant", "payer"), ("revoke", "payer"), ("grant", "payer")]
        )
    ]
    one.send(*changes[:2])
    [(name, finding)] = [item for item in one.current().items() if item[0][0] == "toxic_combination"]
    one.send(decided(ACKNOWLEDGE, finding, at=NOON + SECOND + 1))
    assert one.current()[name].status == "acknowledged"
    one.send(changes[2])
    assert one.current()[name].status == "resolved"
    one.send(changes[3])
    assert one.current()[name].status == "open"


def test_the_order_of_decision_and_events_makes_no_difference() -> None:
    finding = with_finding(3)[1]
    events = [use(0), use(1), use(2), decided(CLOSE, finding)]
    for order in permutations(events):
        one = World([ADMIN])
        for some in order:
            one.send(some)
        assert (finding_of(one).status, finding_of(one).count) == ("closed", 3)


def test_the_later_of_two_decisions_counts() -> None:
    one, finding = with_finding()
    close, acknowledge = decided(CLOSE, finding, at=NOON + 90 * SECOND), decided(ACKNOWLEDGE, finding)
    one.send(close, acknowledge)
    assert finding_of(one).status == "closed"


def test_it_outlives_a_restart() -> None:
    one, finding = with_finding()
    one.send(decided(CLOSE, finding))
    one.settle()
    later = World([ADMIN])
    for name, value in one.finding_changelog:
        later.findings.restore(name, value)
    later.settle()
    assert later.anomalies == []
    later.send(use(8))
    assert finding_of(later).status == "open"


@pytest.mark.parametrize(
    "fields",
    [
        {"key_id": None},
        {"key_id": "pk_nobody"},
        {"key_id": "pk_robot"},
        {"outcome": "denied"},
        {"resource": "provisioning key"},
        {"resource": resource_of("0" * 32)},
        {"attributes": {}},
    ],
)
def test_what_is_no_decision_of_an_admin_changes_nothing(fields: dict[str, object]) -> None:
    one, finding = with_finding()
    one.directory.apply(key("pk_robot", scope_actions=["*"]))
    one.send(decided(CLOSE, finding, **fields))
    assert finding_of(one).status == "open"


@pytest.mark.parametrize(("name", "value"), [("count", "many"), ("count", "9" * 19), ("severity", "worst")])
def test_a_decision_that_does_not_say_on_what_changes_nothing(name: str, value: str) -> None:
    one, finding = with_finding()
    one.send(
        decided(CLOSE, finding, attributes={**attributes_of(finding), f"keytrail.finding.{name}": value})
    )
    assert finding_of(one).status == "open"


def test_it_counts_in_a_backtest() -> None:
    events = [use(0), use(1), use(2), decided(CLOSE, with_finding(3)[1])]
    directory = KeyDirectory()
    directory.apply(ADMIN)
    backtest = Backtest(Policy(), directory, FixedRegistry(), lambda: NOON, partitions=3)
    backtest.take(past(events, 3))
    [found] = backtest.findings()
    assert (found.rule, found.status, found.count) == ("unknown_key", "closed", 3)


def test_a_key_with_a_secret_must_sign() -> None:
    one, finding = with_finding(masters=lambda: MASTERS)
    one.directory.apply(replace(ADMIN, version=2, secret_version=1, secret_since=NOON - DAY))
    close = decided(CLOSE, finding)
    one.send(close)
    assert finding_of(one).status == "open"
    secret = MASTERS.issue("pk_admin", 1)
    one.send_records([signed(replace(close, event_id=str(uuid.uuid4())), secret, offset=100)])
    assert finding_of(one).status == "closed"


def test_where_nobody_can_check_a_key_with_a_secret_closes_nothing() -> None:
    one, finding = with_finding()
    one.directory.apply(replace(ADMIN, version=2, secret_version=1, secret_since=NOON - DAY))
    close = decided(CLOSE, finding)
    one.send_records([signed(close, MASTERS.issue("pk_admin", 1), offset=100)])
    assert finding_of(one).status == "open"


@pytest.mark.parametrize(
    ("rule", "entity", "cause", "where"),
    [
        ("unknown_key", "pk_lost", "", "pk_lost"),
        ("role_sprawl", "bob", "payments", "team:payments"),
        ("role_explosion", "payments", "one holder", "team:payments"),
        ("expired_exception", "bob", "role_sprawl payments", "team:payments"),
        ("expired_exception", "pk_lost", "unknown_key", "pk_lost"),
    ],
)
def test_a_decision_goes_to_where_the_finding_is(rule: str, entity: str, cause: str, where: str) -> None:
    _, finding = with_finding()
    about = replace(
        finding, rule=rule, entity=entity, cause=cause, anomaly_id=anomaly_id(rule, "key", entity, cause)
    )
    world = World([ADMIN])
    [output] = world.send(decided(CLOSE, about))
    [signal] = [signal for signal in output.signals if signal.triage is not None]
    assert routing_key(signal) == where


def test_a_revoked_admin_closes_nothing() -> None:
    one, finding = with_finding()
    one.directory.apply(replace(ADMIN, version=2, status="revoked", revoked_at=NOON))
    one.send_records(records([decided(CLOSE, finding)], start=50))
    assert finding_of(one).status == "open"
