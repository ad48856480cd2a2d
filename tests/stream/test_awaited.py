"""What should come and did not: services that fall silent, and break-glass uses that nobody reviews."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_backtest import FixedRegistry, past
from test_triage import ADMIN, decided
from world import DAY, NOON, SECOND, World, event, key

from keytrail.schemas import avro
from keytrail.schemas.records import Anomaly, Event, Signal
from keytrail.schemas.triage import ACKNOWLEDGE, CLOSE
from keytrail.stream.awaited.limits import ReviewLimits, SilenceLimits
from keytrail.stream.backtest import Backtest
from keytrail.stream.detections.catalogue import AWAITED_RULES
from keytrail.stream.keys import KeyDirectory
from keytrail.stream.policy import Policy, RuleSetting
from keytrail.stream.signals import routing_key

HOUR = 3600 * SECOND
GLASS = key("pk_glass", break_glass=True)
RULES = {rule.name for rule in AWAITED_RULES}


def reports(service: str, hours: Iterable[float], **fields: object) -> list[Event]:
    return [event(service=service, occurred_at=int(NOON + hour * HOUR), **fields) for hour in hours]


def others(until: int, *but: int) -> list[Event]:
    """Two services that tell the time, each hour."""
    hours = [hour for hour in range(until + 1) if hour not in but]
    return reports("vault", hours) + reports("iam", hours)


def by_time(*some: Iterable[Event]) -> list[Event]:
    return sorted((one for each in some for one in each), key=lambda one: (one.occurred_at, one.event_id))


def awaited(world: World) -> dict[tuple[str, str], Anomaly]:
    return {(a.rule, a.entity): a for a in world.current().values() if a.rule in RULES}


def told(events: list[Event], batch: int = 100, **world: object) -> dict[tuple[str, str], Anomaly]:
    one = World([GLASS, ADMIN], clock=lambda: NOON + 90 * DAY, **world)  # type: ignore[arg-type]
    one.send(*events, batch=batch)
    return awaited(one)


def test_a_service_that_reports_each_hour_is_missed_after_six() -> None:
    job = reports("job", range(200))
    assert told(by_time(job, others(199 + 6 + 2))) == {}
    [missed] = told(by_time(job, others(199 + 6 + 3))).values()
    assert (missed.rule, missed.entity, missed.status, missed.count) == ("audit_silence", "job", "open", 1)
    assert missed.evidence == [job[-1].event_id]
    assert "has not since" in missed.summary
    back = told(by_time(job, others(220), reports("job", [218])))
    assert back["audit_silence", "job"].status == "resolved"


def test_a_service_that_reports_each_day_is_missed_after_three() -> None:
    job = reports("backup", [24 * day + (day % 3) * 0.3 for day in range(24)])
    last = 24 * 23
    assert told(by_time(job, others(last + 72))) == {}
    assert ("audit_silence", "backup") in told(by_time(job, others(last + 80)))


def test_a_service_that_rests_on_weekends_is_missed_after_more_than_that() -> None:
    office = [24 * day + hour for day in range(40) if day % 7 < 5 for hour in range(9)]
    job = reports("desk", office)
    assert told(by_time(job, others(office[-1] + 3 * 64 - 10))) == {}
    assert ("audit_silence", "desk") in told(by_time(job, others(office[-1] + 3 * 64 + 10)))


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("few reports", [24 * day for day in range(19)]),
        ("young", range(150)),
        (
            "irregular",
            [0, 1, 2, 3, 30, 31, 60, 61, 62, 90, 120, 121, 122, 150, 180, 181, 182, 183, 184, 185, 186],
        ),
    ],
)
def test_a_service_that_does_not_always_report_is_not_missed(name: str, hours: Iterable[float]) -> None:
    assert told(by_time(reports("job", hours), others(1_200))) == {}


def test_nobody_is_missed_where_all_are_silent_nor_by_one_wrong_clock() -> None:
    job = reports("job", range(200))
    assert told(by_time(job, others(199))) == {}
    assert told([*by_time(job, others(199)), *reports("skewed", [199 + 23])]) == {}
    alone = reports("job", [*range(200), 260])
    assert told(alone) == {}


def test_silence_in_one_partition_is_not_a_services_silence() -> None:
    """In one partition the service stops; in another it goes on."""
    job = reports("job", range(200), subject="alice") + reports("job", range(200, 260), subject="erin")
    events = by_time(job, others(260))
    assert told(events) == {}
    assert _in_a_backtest(events, 40) == set()


def test_late_events_fill_a_gap() -> None:
    job = reports("job", [hour for hour in range(300) if not 203 <= hour <= 212])
    gap = by_time(job, others(299))
    assert told(gap)["audit_silence", "job"].status == "resolved"
    late = reports("job", [207])
    at = next(place for place, one in enumerate(gap) if one.occurred_at > NOON + 208.5 * HOUR)
    assert told(gap[:at] + late + gap[at:]) == {}


def test_a_break_glass_use_is_to_be_reviewed_within_a_day() -> None:
    use = event(key_id="pk_glass", occurred_at=NOON + 30 * 60 * SECOND)
    found = told(by_time([use], others(26)))
    assert found == {}
    [unreviewed] = told(by_time([use], others(27))).values()
    assert (unreviewed.rule, unreviewed.entity, unreviewed.status) == (
        "break_glass_unreviewed",
        "pk_glass",
        "open",
    )
    assert unreviewed.evidence == [use.event_id]
    assert "keytrail anomalies close" in unreviewed.remedy


@pytest.mark.parametrize("rule", ["break_glass_use", "break_glass_unreviewed"])
@pytest.mark.parametrize("action", [ACKNOWLEDGE, CLOSE])
def test_it_is_reviewed_by_a_decision_on_either_finding(rule: str, action: str) -> None:
    events = by_time([event(key_id="pk_glass", occurred_at=NOON)], others(30))
    world = World([GLASS, ADMIN], clock=lambda: NOON + 90 * DAY)
    world.send(*events)
    [finding] = [a for a in world.current().values() if a.rule == rule]
    world.send(decided(action, finding, NOON + 30 * HOUR))
    assert awaited(world)["break_glass_unreviewed", "pk_glass"].status == "resolved"
    # The next use is to be reviewed as well.
    world.send(event(key_id="pk_glass", occurred_at=NOON + 40 * HOUR), *others(70))
    again = awaited(world)["break_glass_unreviewed", "pk_glass"]
    assert (again.status, again.count) == ("open", 1)


def test_a_review_in_time_leaves_nothing_to_find_and_one_without_right_is_none() -> None:
    world = World([GLASS, ADMIN], clock=lambda: NOON + 90 * DAY)
    world.send(event(key_id="pk_glass", occurred_at=NOON), *others(2))
    [finding] = [a for a in world.current().values() if a.rule == "break_glass_use"]
    review = decided(CLOSE, finding, NOON + 3 * HOUR)
    events = by_time([event(key_id="pk_glass", occurred_at=NOON)], others(40))
    assert told(by_time(events, [review])) == {}
    no_right = replace(review, key_id="pk_glass", event_id=event().event_id)
    assert "break_glass_unreviewed" in {rule for rule, _ in told(by_time(events, [no_right]))}


def test_a_key_that_turns_out_to_be_for_emergencies_has_its_uses_reviewed() -> None:
    world = World([key("pk_glass")], clock=lambda: NOON + 90 * DAY)
    world.send(event(key_id="pk_glass", occurred_at=NOON))
    world.learn(replace(GLASS, version=2))
    world.send(*others(30))
    assert ("break_glass_unreviewed", "pk_glass") in awaited(world)


def test_limits_are_the_policys_and_a_rule_can_be_off() -> None:
    events = by_time(reports("job", range(200)), [event(key_id="pk_glass", occurred_at=NOON)], others(215))
    policy = Policy(reviews=ReviewLimits(hours=2_000), silence=SilenceLimits(least_hours=100))
    assert told(events, policy=policy) == {}
    off = tuple(RuleSetting(rule, enabled=False) for rule in RULES)
    assert told(events, policy=Policy(rules=off)) == {}
    rules = (
        RuleSetting("audit_silence", severity="low"),
        RuleSetting("break_glass_unreviewed", enabled=False),
    )
    one = Policy(rules=rules)
    assert [(a.rule, a.severity) for a in told(events, policy=one).values()] == [("audit_silence", "low")]


def test_moments_come_through_the_topic_as_they_were() -> None:
    world = World([GLASS])
    [output] = world.send(event(key_id="pk_glass", occurred_at=NOON), event(service="vault"))
    [told] = [signal for signal in output.signals if signal.moments]
    schema = avro.parse(avro.schema_text("signal"))
    assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(told), 0) == told
    assert {(moment.kind, moment.name) for moment in told.moments} == {
        ("report", "iam"),
        ("report", "vault"),
        ("use", "pk_glass"),
    }


def test_moments_and_decisions_on_their_findings_have_one_place() -> None:
    world = World([GLASS, ADMIN], clock=lambda: NOON + 90 * DAY)
    outputs = world.send(*by_time([event(key_id="pk_glass", occurred_at=NOON)], others(30)))
    moments = [signal for output in outputs for signal in output.signals if signal.moments]
    [found] = [a for a in world.current().values() if a.rule == "break_glass_unreviewed"]
    [output] = world.send(decided(CLOSE, found, NOON + 31 * HOUR))
    places = {
        routing_key(signal) for signal in [*moments, *output.signals] if signal.moments or signal.triage
    }
    assert len(places) == 1


# Small limits, so that random lives meet them.
POLICY = Policy(
    reviews=ReviewLimits(hours=3),
    silence=SilenceLimits(times=1.5, least_hours=2, known_days=1, regular_reports=5, busy_hours=10),
)
_minutes = st.integers(0, 60 * 60)
_lives = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "glass", "review"]), _minutes), min_size=20, max_size=150
)


def _events(life: list[tuple[str, int]]) -> list[Event]:
    world = World([GLASS])
    world.send(event(key_id="pk_glass"))
    [finding] = [a for a in world.current().values() if a.rule == "break_glass_use"]
    made = []
    for number, (what, minute) in enumerate(life):
        at = NOON + minute * 60 * SECOND + number
        if what == "review":
            made.append(decided(CLOSE, finding, at, event_id=event().event_id))
        elif what == "glass":
            made.append(event(key_id="pk_glass", service="a", occurred_at=at))
        else:
            made.append(event(service=what, occurred_at=at))
    # Others go on for long, so that all is decided in the end.
    return by_time(made, others(90, *range(0, 90, 7)))


Row = tuple[str, str, str, int, tuple[str, ...]]


def _rows(found: Iterable[Anomaly]) -> set[Row]:
    return {
        (a.rule, a.entity, a.status.replace("updated", "open"), a.count, tuple(a.evidence)) for a in found
    }


def _live(events: list[Event], batch: int, restart: int | None = None) -> set[Row]:
    first = World([GLASS, ADMIN], policy=POLICY, clock=lambda: NOON + 90 * DAY)
    first.send(*events[:restart], batch=batch)
    if restart is None:
        return _rows(awaited(first).values())
    second = World([GLASS, ADMIN], policy=POLICY, clock=lambda: NOON + 90 * DAY)
    second.adopt_log(first)
    for name, value in first.changelog:
        second.events.restore(name, value)
    for name, value in first.finding_changelog:
        second.findings.restore(name, value)
    second.anomalies += first.anomalies
    second.send(*events[restart:], batch=batch)
    return _rows(awaited(second).values())


def _in_a_backtest(events: list[Event], size: int, policy: Policy | None = None) -> set[Row]:
    directory = KeyDirectory()
    for known in (GLASS, ADMIN):
        directory.apply(known)
    backtest = Backtest([policy or Policy()], directory, FixedRegistry(), lambda: NOON + 90 * DAY)
    records = past(events, 3)
    for start in range(0, len(records), size):
        backtest.take(records[start : start + size])
    return _rows(a for a in backtest.trials[0].findings() if a.rule in RULES)


@settings(max_examples=100, deadline=None)
@given(_lives, st.randoms(use_true_random=False), st.sampled_from([1, 7, 1000]), st.booleans())
def test_order_within_the_lateness_batches_and_restarts_do_not_matter(
    life: list[tuple[str, int]], chance: Random, batch: int, restarts: bool
) -> None:
    events = _events(life)
    expected = _live(events, 1)
    late = {one.event_id: one.occurred_at + chance.randrange(int(1.9 * HOUR)) for one in events}
    shuffled = sorted(events, key=lambda one: late[one.event_id])
    restart = chance.randrange(len(events)) if restarts else None
    assert _live(shuffled, batch, restart) == expected
    assert _in_a_backtest(shuffled, 50, POLICY) == expected
