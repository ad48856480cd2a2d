"""Exceptions of a policy: what they cover is told as suppressed, for as long as they hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from world import DAY, NOON, World, event, key

from keytrail.schemas.records import Event, Micros
from keytrail.stream.conduct.limits import DormancyLimits
from keytrail.stream.policies.exemptions import ends
from keytrail.stream.policies.policy import Exemption, Policy, RuleSetting
from keytrail.stream.policies.timeline import Timeline

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
    assert {anomaly.rule for anomaly in one.anomalies[1:]} == {"self_grant", "expired_exception"}
    assert len(one.anomalies) == 3


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


EXPIRED = ("expired_exception", "alice", "self_grant reader")
RENEWED = replace(EXEMPTION, owner="dave", reason="hired in May", until="2099-01-01")


def test_an_exception_that_is_over_is_itself_reported_until_it_is_renewed_or_removed() -> None:
    clock = Clock()
    one = world(clock)
    one.send(self_grant())
    assert EXPIRED not in one.current()
    clock.now = ends(EXEMPTION)
    told = one.current()[EXPIRED]
    assert (told.status, told.severity, told.count) == ("open", "medium", 1)
    assert told.summary == (
        f"The exception of carol for self_grant of alice ended with {TODAY}, and it is still so."
    )
    assert told.evidence == one.current()[FINDING].evidence
    for exceptions, status in (((RENEWED,), "resolved"), ((EXEMPTION,), "open"), ((), "resolved")):
        one.policies = Timeline(Policy(exceptions=exceptions))
        one.findings._policies = one.policies
        assert one.current()[EXPIRED].status == status


@pytest.mark.parametrize(("entity", "is_reported"), [("pk_admin", True), ("another", False)])
def test_a_finding_without_events_may_have_an_exception_that_is_over(entity: str, is_reported: bool) -> None:
    """As of a key that was never used, which has no event for evidence."""
    over = replace(EXEMPTION, rule="dormant_privileged_key", entity=entity, cause="*", until="2020-01-01")
    policy = Policy(exceptions=(over,), dormancy=DormancyLimits(days=10))
    one = World([key("pk_admin", scope_roles=["db-admin"])], policy, lambda: NOON + 20 * DAY)
    days = [NOON + day * DAY for day in range(13)]
    one.send(*(event(service=name, occurred_at=at) for at in days for name in ("vault", "iam")))
    dormant = one.current()["dormant_privileged_key", "pk_admin", ""]
    assert dormant.evidence == []
    told = one.current().get(("expired_exception", "pk_admin", "dormant_privileged_key"))
    assert (told is not None) == is_reported
    assert told is None or (told.evidence, told.first_seen) == ([], dormant.first_seen)


def test_it_resolves_with_the_finding_and_may_be_turned_off() -> None:
    lent = event(action="grant", role="helper", occurred_at=NOON - 5 * DAY, expires_at=NOON - 4 * DAY)
    over = replace(EXEMPTION, rule="overdue_grant", entity="*", cause="*", until="2020-01-01")
    name = ("expired_exception", "alice", "overdue_grant helper")
    one = world(Clock(), over)
    one.send(lent, event(occurred_at=NOON - DAY))
    assert one.current()[name].status == "open"
    one.send(event(action="revoke", role="helper", occurred_at=NOON))
    assert one.current()[name].status == "resolved"
    off = Policy(exceptions=(over,), rules=(RuleSetting("expired_exception", enabled=False),))
    one = World(policy=off, clock=Clock())
    one.send(lent, event(occurred_at=NOON - DAY))
    assert name not in one.current()


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (EXEMPTION, replace(EXEMPTION, until="2020-01-01"), "open"),
        (replace(EXEMPTION, until="2020-01-01"), RENEWED, "resolved"),
        (replace(EXEMPTION, until="2020-01-01"), replace(EXEMPTION, entity="nobody"), "resolved"),
    ],
)
def test_a_restart_finds_what_changed_meanwhile(before: Exemption, after: Exemption, status: str) -> None:
    one = world(Clock(), before)
    one.send(self_grant())
    one.settle()
    later = world(Clock(), after)
    for name, value in one.finding_changelog:
        later.findings.restore(name, value)
    assert later.findings.has_untold
    assert later.current()[EXPIRED].status == status
    assert not later.findings.has_untold


def test_a_renewed_exception_is_told_with_its_new_owner() -> None:
    one = world(Clock())
    one.send(self_grant())
    later = world(Clock(), RENEWED)
    for name, value in one.finding_changelog:
        later.findings.restore(name, value)
    told = later.current()[FINDING]
    assert (told.status, told.details["exception_owner"], told.revision) == ("suppressed", "dave", 2)


def test_state_of_an_earlier_form_is_told_once_more() -> None:
    one = world(Clock())
    one.send(self_grant())
    later = world(Clock())
    for name, value in one.finding_changelog:
        if name.startswith(b"finding/") and value is not None:
            _form, fields = json.loads(value)
            flags = {flag: bool(fields[flag]) for flag in ("exempt", "told_exempt")}
            later.findings.restore(name, json.dumps([2, {**fields, **flags}]).encode())
        else:
            later.findings.restore(name, value)
    assert later.current()[FINDING].status == "suppressed"
