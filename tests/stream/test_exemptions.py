"""Exceptions of a policy: what they cover is told as suppressed, for as long as they hold."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from world import DAY, NOON, World, event

from keytrail.schemas.records import Event, Micros
from keytrail.stream.exemptions import ends
from keytrail.stream.policy import Exemption, Policy

TODAY = datetime.fromtimestamp(NOON // 1_000_000, UTC).date().isoformat()
EXEMPTION = Exemption("self_grant", "ali*", "carol", "has no team yet", TODAY, cause="read*")
FINDING = ("self_grant", "alice", "reader")


class Clock:
    def __init__(self) -> None:
        self.now: Micros = NOON

    def __call__(self) -> Micros:
        return self.now


def world(clock: Clock, exemption: Exemption = EXEMPTION) -> World:
    return World(policy=Policy(exceptions=(exemption,)), clock=clock)


def self_grant(at: Micros = NOON, role: str = "reader", who: str = "alice") -> Event:
    return event(action="grant", role=role, actor_id=who, subject=who, ticket="T-1", occurred_at=at)


def test_what_is_covered_is_told_as_suppressed_and_says_who_answers() -> None:
    one = world(Clock())
    one.send(self_grant(), self_grant(role="writer"), self_grant(who="bob"))
    statuses = {name: anomaly.status for name, anomaly in one.current().items()}
    assert statuses == {
        FINDING: "suppressed",
        ("self_grant", "alice", "writer"): "open",
        ("self_grant", "bob", "reader"): "open",
    }
    details = one.current()[FINDING].details
    assert {name: details[f"exception_{name}"] for name in ("owner", "reason", "until")} == {
        "owner": "carol",
        "reason": "has no team yet",
        "until": TODAY,
    }


def test_when_it_is_over_the_finding_is_open_again() -> None:
    clock = Clock()
    one = world(clock)
    one.send(self_grant())
    assert not one.findings.has_untold
    clock.now = ends(EXEMPTION) - 1
    assert one.current()[FINDING].status == "suppressed"
    clock.now = ends(EXEMPTION)
    assert one.findings.has_untold
    assert one.current()[FINDING].status == "open"
    assert "exception_owner" not in one.current()[FINDING].details
    assert not one.findings.has_untold
    assert len(one.anomalies) == 2


@pytest.mark.parametrize("exceptions", [(), (replace(EXEMPTION, until="2020-01-01"),)])
def test_a_restart_without_the_exception_opens_the_finding(exceptions: tuple[Exemption, ...]) -> None:
    one = world(Clock())
    one.send(self_grant())
    later = World(policy=Policy(exceptions=exceptions), clock=Clock())
    for name, value in one.finding_changelog:
        later.findings.restore(name, value)
    assert later.findings.has_untold
    assert later.current()[FINDING].status == "open"


def test_a_restart_with_it_tells_nothing_until_it_is_over() -> None:
    clock = Clock()
    one = world(clock)
    one.send(self_grant())
    later = world(clock)
    for name, value in one.finding_changelog:
        later.findings.restore(name, value)
    assert later.current() == {}
    clock.now += 2 * DAY
    assert later.current()[FINDING].status == "open"


def test_it_grows_and_resolves_as_others_do() -> None:
    lent = event(action="grant", role="helper", occurred_at=NOON - 5 * DAY, expires_at=NOON - 4 * DAY)
    one = world(Clock(), replace(EXEMPTION, rule="overdue_grant", entity="*", cause="*"))
    one.send(lent, event(occurred_at=NOON - DAY))
    assert one.current()["overdue_grant", "alice", "helper"].status == "suppressed"
    one.send(event(action="revoke", role="helper", occurred_at=NOON))
    assert one.current()["overdue_grant", "alice", "helper"].status == "resolved"
