"""Break-glass uses that nobody reviews: found by the events' time, whichever partition is ahead."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import HOUR, LATER, ahead, by_time, others, reports
from test_triage import ADMIN
from world import DAY, NOON, SECOND, World, event, key

from keytrail.schemas import avro
from keytrail.schemas.applied import AppliedPolicy
from keytrail.schemas.records import Anomaly, Event, GlassMoments, Occurrence, Signal
from keytrail.schemas.triage import ACKNOWLEDGE, CLOSE, anomaly_id, attributes, resource_of
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reviews import history
from keytrail.stream.reviews.limits import ReviewLimits
from keytrail.stream.reviews.watch import ReviewWatch

GLASS = key("pk_glass", break_glass=True)
USE, UNREVIEWED = "break_glass_use", "break_glass_unreviewed"
MINUTE = 60 * SECOND
LOW = "version: 1\nrules:\n  break_glass_unreviewed: {severity: low}\n"


def uses(*hours: float, **fields: object) -> list[Event]:
    return [event(key_id="pk_glass", occurred_at=int(NOON + hour * HOUR), **fields) for hour in hours]


def review(hour: float, rule: str = USE, action: str = CLOSE, **fields: object) -> Event:
    finding = {"rule": rule, "entity_type": "key", "entity": "pk_glass", "cause": ""}
    return event(
        action=action,
        key_id=ADMIN.key_id,
        resource=resource_of(anomaly_id(**finding)),
        attributes=attributes(**finding, count=1, severity="high"),
        occurred_at=int(NOON + hour * HOUR),
        **fields,
    )


def told(events: Sequence[Event], policy: Policy | None = None, batch: int = 100) -> Anomaly | None:
    world = World([GLASS, ADMIN], policy=policy, clock=lambda: LATER)
    world.send(*events, batch=batch)
    return world.current().get((UNREVIEWED, "pk_glass", ""))


def test_a_use_that_nobody_reviews_for_a_day_is_found() -> None:
    [use] = uses(1.2)
    assert told(by_time([use], others(27))) is None
    found = told(by_time([use], others(28)))
    assert found is not None
    assert (found.status, found.count, found.evidence) == ("open", 1, [use.event_id])
    assert "within 24 hours" in found.summary


def test_what_waits_for_complete_hours_is_bounded_and_the_first_of_it_stays() -> None:
    held = history.History()
    moments = [history.Moment(NOON + number * MINUTE, f"id-{number}", "p") for number in range(5_000)]
    for moment in Random(3).sample(moments, len(moments)):
        held.use(moment)
        held.review(moment)
    assert sorted(held.uses.values()) == sorted(held.reviews) == moments[: len(held.uses)]
    assert len(history.pack(held)) < 250_000


def test_a_use_by_a_policy_nobody_knows_goes_by_the_latest_before_and_after_a_restart() -> None:
    def severities(*, restarted: bool) -> list[str]:
        policies = Timeline(Policy())
        watch = ReviewWatch(policies)
        found = []
        for day in (0, 10):
            if day:
                version = parse_policy(LOW, "policy").version
                policies.take(AppliedPolicy("low", version, LOW, "carol", "pk_admin", "", None, NOON, {0: 1}))
                if restarted:
                    watch = ReviewWatch(policies)
            use = Occurrence(NOON + day * DAY, f"id-{day}")
            watch.take(GlassMoments("pk_glass", [use], []), "of another keytrail")
            found += [signal.severity for signal in watch.judge((NOON + (day + 2) * DAY) // HOUR)]
        return found

    assert severities(restarted=False)[-1] == severities(restarted=True)[-1] == "low"


@pytest.mark.parametrize("action", [ACKNOWLEDGE, CLOSE])
@pytest.mark.parametrize("rule", [USE, UNREVIEWED])
def test_a_review_in_time_is_enough(rule: str, action: str) -> None:
    assert told(by_time(uses(1, 2), [review(20, rule, action)], others(60))) is None


def test_a_review_counts_for_the_uses_before_it_alone() -> None:
    found = told(by_time(uses(1, 5), [review(4)], others(60)))
    assert found is not None
    assert found.count == 1
    assert told(by_time(uses(5), [review(5)], others(60))) is None


def test_it_resolves_with_a_late_review_and_opens_again_with_a_further_use() -> None:
    late = by_time(uses(1, 2), [review(40)], others(80))
    found = told(late)
    assert found is not None
    assert found.status == "resolved"
    again = told(by_time(late, uses(50)))
    assert again is not None
    assert (again.status, again.count) == ("open", 1)


def test_only_a_decision_on_a_finding_of_this_key_by_one_who_may_is_a_review() -> None:
    other = review(3)
    other.attributes["keytrail.finding.rule"] = "shared_key"
    by_nobody = review(3)
    by_nobody = event(**{**vars(by_nobody), "key_id": "pk_glass"})
    for no_review in (other, by_nobody):
        found = told(by_time(uses(1), [no_review], others(60)))
        assert found is not None
        assert found.status != "resolved"


def test_uses_within_a_minute_are_one_and_a_hundred_are_the_most() -> None:
    minute = told(by_time(uses(1, 1.001, 1.002), others(60)))
    assert minute is not None
    assert minute.count == 1
    many = told(by_time(uses(*(1 + place / 60 for place in range(150))), others(60)))
    assert many is not None
    assert many.count == 100


def test_an_ordinary_key_and_a_rule_that_is_off_find_nothing_and_hours_are_the_policys() -> None:
    events = by_time(uses(1), others(60))
    world = World([key("pk_glass"), ADMIN], clock=lambda: LATER)
    world.send(*events)
    assert not {name for name in world.current() if name[0] == UNREVIEWED}
    assert told(events, Policy(rules=(RuleSetting(UNREVIEWED, enabled=False),))) is None
    assert told(events, Policy(reviews=ReviewLimits(hours=100))) is None
    low = told(events, Policy(rules=(RuleSetting(UNREVIEWED, severity="low"),)))
    assert low is not None
    assert low.severity == "low"


def test_uses_come_through_the_topic_as_they_were_and_decisions_find_their_finding() -> None:
    world = World([GLASS, ADMIN])
    [output] = world.send(*uses(1), review(2))
    [signal] = [one for one in output.signals if one.attendance and one.attendance.glass]
    schema = avro.parse(avro.schema_text("signal"))
    assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(signal), 0) == signal
    [output] = world.send(review(3, UNREVIEWED))
    [decision] = [one for one in output.signals if one.triage]
    assert routing_key(decision) == routing_key(signal)


@pytest.mark.parametrize("reviewed", [False, True])
def test_a_use_by_the_right_time_is_awaited_where_services_share_a_wrong_clock(reviewed: bool) -> None:
    """A day ahead, which made the use come too late to be awaited."""
    skewed = by_time(reports("bad", range(60)), reports("worse", range(60)))
    made = by_time(skewed, others(60), uses(20.5), [review(30)] if reviewed else [])
    arrived = {one.event_id: one.occurred_at for one in made}
    wrong = [ahead([one], 24)[0] if one.service in ("bad", "worse") else one for one in made]

    def found(*, known: bool, cut: int = len(wrong)) -> Anomaly | None:
        world = World([GLASS, ADMIN], clock=lambda: LATER)
        world.send(*wrong[:cut], batch=17, arrived=lambda one: arrived[one.event_id] if known else None)
        return world.current().get((UNREVIEWED, "pk_glass", ""))

    assert found(known=False) is None  # it came too late for those hours: this is what the clocks hid
    open_now = found(known=True)
    assert (open_now is None) == reviewed
    day_later = next(at for at, one in enumerate(wrong) if arrived[one.event_id] > NOON + 44 * HOUR)
    assert found(known=True, cut=day_later) is None


def test_a_use_by_a_wrong_clock_is_awaited_from_when_it_came() -> None:
    made = by_time(uses(1.5), others(60))
    arrived = {one.event_id: one.occurred_at for one in made}
    wrong = [ahead([one], 20)[0] if one.key_id else one for one in made]
    world = World([GLASS, ADMIN], clock=lambda: LATER)
    world.send(*wrong, arrived=lambda one: arrived[one.event_id])
    found = world.current()[UNREVIEWED, "pk_glass", ""]
    assert (found.first_seen, found.count) == (NOON + 1.5 * HOUR, 1)


def test_a_review_by_a_clock_that_is_ahead_covers_no_use_that_came_after_it() -> None:
    early, late = ahead([review(2)], 20)[0], uses(5)
    made = by_time(others(60), uses(1.5), [review(2)], late)
    arrived = {one.event_id: one.occurred_at for one in made}
    wrong = [replace(early, event_id=one.event_id) if one.action == early.action else one for one in made]

    def found(*, known: bool) -> Anomaly | None:
        world = World([GLASS, ADMIN], clock=lambda: LATER)
        world.send(*wrong, batch=17, arrived=lambda one: arrived[one.event_id] if known else None)
        return world.current().get((UNREVIEWED, "pk_glass", ""))

    assert found(known=False) is None  # the review stands after both
    missed = found(known=True)
    assert missed is not None
    assert (missed.first_seen, missed.count) == (late[0].occurred_at, 1)


Moments = list[tuple[int, int, str]]  # minute, partition, and whether use or review
_moments = st.lists(
    st.tuples(st.integers(0, 20 * 60), st.integers(0, 2), st.sampled_from(["use", "use", "review"])),
    max_size=60,
)


def _watched(
    moments: Moments, cuts: Sequence[int], chance: Random, restarts: bool
) -> list[tuple[object, ...]]:
    """What is said where all that lies before each of the cuts (hours) has come, in any order."""
    policies, said = Timeline(Policy(reviews=ReviewLimits(hours=3))), []
    version, base = policies.latest.version, NOON // HOUR * HOUR
    watch, log = ReviewWatch(policies), {}
    left = list(moments)
    for cut in cuts:
        # Some are there earlier than they have to be, as where one partition is ahead.
        now = [one for one in left if one[0] < cut * 60 or chance.random() < 0.3]
        left = [one for one in left if one not in now]
        chance.shuffle(now)
        for minute, partition, what in now:
            at = [Occurrence(base + minute * MINUTE, f"{minute:04}-{partition}-{what}")]
            glass = GlassMoments("pk_glass", at if what == "use" else [], at if what == "review" else [])
            watch.take(glass, version)
        said += [
            (signal.holds, signal.count, *[one.event_id for one in signal.events])
            for signal in watch.judge(base // HOUR + cut)
        ]
        log.update((change.key, change.value) for change in watch.take_changes())
        if restarts:
            watch = ReviewWatch(policies)
            for name, value in log.items():
                watch.restore(name, value)
    return said


@settings(max_examples=200, deadline=None)
@given(_moments, st.integers(0, 2**32))
def test_neither_order_nor_batches_nor_restarts_matter(moments: Moments, seed: int) -> None:
    moments, chance = sorted(set(moments)), Random(seed)
    expected = _watched(moments, [60], Random(0), restarts=False)
    assert _watched(moments, range(1, 61), chance, restarts=False) == expected
    assert _watched(moments, sorted({*chance.sample(range(1, 60), 9), 60}), chance, restarts=True) == expected


@settings(max_examples=25, deadline=None)
@given(_moments, st.integers(0, 2**32))
def test_order_within_the_allowed_lateness_does_not_matter(moments: Moments, seed: int) -> None:
    chance = Random(seed)
    made: list[Event] = []
    for minute, _, what in sorted(set(moments)):
        made += uses(minute / 60) if what == "use" else [review(minute / 60)]
    events = by_time(made, others(50), reports("job", range(50)))
    late = {one.event_id: one.occurred_at + chance.randrange(2 * HOUR) for one in events}
    shuffled = sorted(events, key=lambda one: late[one.event_id])
    policy = Policy(reviews=ReviewLimits(hours=3))
    found = [told(some, policy, batch) for some, batch in ((events, 17), (shuffled, 17), (shuffled, 5_000))]
    rows = [None if a is None else (a.status.replace("updated", "open"), a.count, a.evidence) for a in found]
    assert rows[0] == rows[1] == rows[2]


@given(st.lists(st.tuples(st.integers(0, 10**18), st.text(max_size=5), st.text(max_size=5)), max_size=9))
def test_a_history_is_restored_as_it_was(moments: Iterable[tuple[int, str, str]]) -> None:
    known = history.History()
    for moment in moments:
        known.use(history.Moment(*moment))
        known.review(history.Moment(*moment))
    list(known.said(5 * 10**17, lambda _: DAY))
    assert history.unpack(history.pack(known)) == known


def test_what_waits_is_written_when_it_changes_alone() -> None:
    watch, hour = ReviewWatch(Timeline(Policy())), NOON // HOUR
    watch.take(GlassMoments("pk_glass", [Occurrence(NOON, "use")], []), "")
    changes = []
    for until in (hour, hour + 1, hour + 1, hour + 2, hour + 26, hour + 27):
        assert bool(list(watch.judge(until))) == (until == hour + 26)
        changes.append(len(watch.take_changes()))
    assert changes == [1, 1, 0, 0, 1, 0]
