"""Privileged keys that lie unused: found by the events' time, whichever partition is ahead."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reporting import HOUR, by_time
from world import DAY, NOON, World, event, key

from keytrail.schemas import avro
from keytrail.schemas.applied import AppliedPolicy
from keytrail.schemas.records import (
    Anomaly,
    Attendance,
    Event,
    Key,
    Occurrence,
    PrivilegedUse,
    Report,
    Signal,
    Suspension,
)
from keytrail.stream.conduct.limits import DormancyLimits
from keytrail.stream.dormancy import rest
from keytrail.stream.dormancy.rest import Rest
from keytrail.stream.dormancy.watch import DormancyWatch
from keytrail.stream.findings.signals import ATTENDANCE, carrier, routing_key
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.policies.privilege import is_privileged_key
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EARLIEST
from keytrail.stream.stages.finding_stage import FindingStage

RULE = "dormant_privileged_key"
ADMIN = key("pk_admin", scope_roles=["db-admin"])
LATER = NOON + 300 * DAY
TEN = Policy(dormancy=DormancyLimits(days=10))
MIDNIGHT = NOON // DAY * DAY


def on(*numbers: float, key_id: str | None = "pk_admin", **fields: object) -> list[Event]:
    """Uses at noon of these days, counted from the first."""
    return [event(key_id=key_id, occurred_at=int(NOON + day * DAY), **fields) for day in numbers]


def clock(until: int) -> list[Event]:
    """Two services that tell the time, each sixth hour of so many days."""
    hours = [6 * step * HOUR for step in range(4 * until + 1)]
    return [event(service=name, occurred_at=NOON + hour) for name in ("vault", "iam") for hour in hours]


def told(
    events: Sequence[Event], *keys: Key, policy: Policy | None = None, batch: int = 100
) -> dict[str, Anomaly]:
    world = World(keys or [ADMIN], policy=policy or TEN, clock=lambda: LATER)
    world.send(*events, batch=batch)
    return {a.entity: a for a in world.current().values() if a.rule == RULE}


def test_a_privileged_key_that_is_unused_for_long_is_found_and_ends_with_its_use() -> None:
    use = on(1)
    assert told(by_time(use, clock(10))) == {}
    [found] = told(by_time(use, clock(11))).values()
    assert (found.entity, found.status, found.count, found.severity) == ("pk_admin", "open", 1, "medium")
    assert found.evidence == [use[0].event_id]
    assert found.details["owner"] == "bob"
    assert "has not been used since" in found.summary
    again = told(by_time(use, on(14), clock(16)))
    assert again["pk_admin"].status == "resolved"
    third = told(by_time(use, on(14), clock(26)))
    assert third["pk_admin"].status != "resolved"


def test_a_use_on_the_last_day_allowed_is_in_time() -> None:
    assert told(by_time(on(1, 10), clock(19))) == {}
    assert "pk_admin" in told(by_time(on(1, 11), clock(14)))


def test_one_that_was_never_used_counts_from_its_issue_or_from_the_first_event() -> None:
    [old] = told(by_time(clock(12))).values()
    assert old.evidence == []
    assert "never seen in use" in old.summary
    young = replace(ADMIN, issued_at=NOON + 5 * DAY)
    assert told(by_time(clock(14)), young) == {}
    assert told(by_time(clock(15)), young)["pk_admin"].status == "open"


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(EARLIEST, NOON - DAY)), min_size=1, max_size=4),
    st.sampled_from([1, 7, 5_000]),
)
@example([(0, EARLIEST)], 100)
@example([(1, EARLIEST), (1, NOON - 400 * DAY)], 1)
def test_what_one_service_says_was_long_ago_makes_no_key_look_long_known(
    old: list[tuple[int, int]], batch: int
) -> None:
    for until in (9, 12):
        right = by_time(clock(until))
        events = list(right)
        for place, at in old:
            events.insert(place, event(service="reset", occurred_at=at))
        expected = {name: (a.status, a.summary) for name, a in told(right).items()}
        assert {name: (a.status, a.summary) for name, a in told(events, batch=batch).items()} == expected
        assert bool(expected) == (until == 12)


@pytest.mark.parametrize(
    "fields",
    [
        {"revoked_at": NOON + 9 * DAY},
        {"expires_at": NOON + 9 * DAY},
        {"suspended_at": NOON + 9 * DAY},
        {"break_glass": True},
        {"scope_roles": []},
        {"scope_roles": ["db-reader"]},
        {"scope_roles": ["db-*"]},
        {"scope_roles": ["db-reader"], "scope_actions": ["grant"]},
        {"scope_roles": [], "scope_actions": ["use"]},
    ],
)
def test_a_key_that_does_not_work_or_is_not_privileged_is_none(fields: dict[str, object]) -> None:
    assert told(by_time(on(1), clock(40)), replace(ADMIN, **fields)) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"scope_roles": ["*"]},
        {"scope_roles": ["root", "db-reader"]},
        {"scope_roles": [], "scope_actions": ["grant", "use"]},
        {"scope_roles": [], "scope_actions": ["*"]},
    ],
)
def test_what_makes_a_key_privileged(fields: dict[str, object]) -> None:
    one = replace(ADMIN, **fields)  # type: ignore[arg-type]
    assert is_privileged_key(one, Policy())
    assert "pk_admin" in told(by_time(on(1), clock(40)), one)


@pytest.mark.parametrize("name", ["revoked_at", "expires_at", "suspended_at"])
def test_its_end_ends_the_finding(name: str) -> None:
    ended = replace(ADMIN, **{name: NOON + 20 * DAY})  # type: ignore[arg-type]
    assert told(by_time(on(1), clock(20)), ended)["pk_admin"].status == "open"
    assert told(by_time(on(1), clock(22)), ended)["pk_admin"].status == "resolved"


def test_while_it_is_suspended_it_does_not_lie_and_after_that_it_does() -> None:
    over = replace(ADMIN, suspensions=[Suspension(NOON + 9 * DAY, NOON + 20 * DAY)])
    assert told(by_time(on(1), clock(20)), over) == {}
    assert told(by_time(on(1), clock(22)), over)["pk_admin"].status == "open"


def test_refused_uses_and_uses_by_an_alias_are_uses() -> None:
    assert told(by_time(on(1, 8, outcome="denied"), clock(14))) == {}
    aliased = replace(ADMIN, aliases=["sha256:1"])
    assert told(by_time(on(1, 8, key_id=None, key_alias="sha256:1"), clock(14)), aliased) == {}


def test_a_use_that_comes_later_than_allowed_ends_it() -> None:
    late = [*by_time(on(1), clock(13)), *on(5), *by_time(clock(14))]
    assert told(late)["pk_admin"].status == "resolved"


def test_a_rule_that_is_off_finds_nothing_and_the_policy_says_for_how_long() -> None:
    events = by_time(on(1), clock(40))
    off = replace(TEN, rules=(RuleSetting(RULE, enabled=False),))
    assert told(events, policy=off) == {}
    assert told(events, policy=Policy()) == {}
    low = replace(TEN, rules=(RuleSetting(RULE, severity="low"),))
    assert told(events, policy=low)["pk_admin"].severity == "low"


def test_a_key_whose_record_comes_late_ends_or_counts_from_then() -> None:
    world = World([ADMIN], policy=TEN, clock=lambda: LATER)
    world.send(*by_time(on(1), clock(14)))
    assert (RULE, "pk_admin", "") in world.open_findings()
    world.learn(replace(ADMIN, version=2, scope_roles=["db-reader"]))
    world.send(*by_time(clock(16)))
    assert (RULE, "pk_admin", "") not in world.open_findings()
    world.learn(replace(ADMIN, version=3))
    world.send(*by_time(clock(24)))
    assert (RULE, "pk_admin", "") not in world.open_findings()
    world.send(*by_time(clock(28)))
    assert (RULE, "pk_admin", "") in world.open_findings()
    world.directory.forget("pk_admin")
    world.send(*by_time(clock(30)))
    assert (RULE, "pk_admin", "") not in world.open_findings()


def test_a_first_use_of_a_day_is_told_once_and_one_of_an_ordinary_key_never() -> None:
    world = World([ADMIN, key("pk_1", scope_actions=["use"])])
    uses = on(0, 0.01, 0.02, 1)
    [output] = world.send(*uses, *on(0, key_id="pk_1"))
    some = [s for s in output.signals if s.attendance and s.attendance.privileged]
    assert [[u.event_id for u in s.attendance.privileged] for s in some if s.attendance] == [
        [uses[0].event_id, uses[3].event_id]
    ]
    schema = avro.parse(avro.schema_text("signal"))
    assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(some[0]), 0) == some[0]
    found = replace(some[0], rule=RULE, attendance=None, triage=True)  # type: ignore[arg-type]
    assert routing_key(found) == routing_key(some[0])
    [output] = world.send(*on(0.03))
    assert not [s for s in output.signals if s.attendance and s.attendance.privileged]


def test_what_waits_for_complete_days_is_bounded() -> None:
    held, many = Rest(), [Occurrence(MIDNIGHT + day * DAY, f"id-{day}") for day in range(2_000)]
    for at in Random(3).sample(many, len(many)):
        held.use(at, 0)
    assert len(rest.pack(held)) < 40_000
    assert max(held.waiting) == many[-1].occurred_at // DAY


def _reports(at: int, event_id: str) -> list[Report]:
    """Of the two services that it takes to tell the time."""
    return [Report(service, [Occurrence(at, event_id)]) for service in ("iam", "vault")]


def _days(watch: DormancyWatch, version: str, *numbers: int) -> list[Signal]:
    """What is said with these days, told by the only partition and judged one by one."""
    said = []
    for day in numbers:
        at = MIDNIGHT + day * DAY + HOUR
        watch.take(Attendance(0, at // HOUR + 22, _reports(at, f"{day}")), version)
        said += watch.judge(at // HOUR + 21)
    return said


@pytest.mark.parametrize("restarts", [False, True])
def test_a_key_that_is_narrowed_before_its_rest_is_long_and_widened_later_is_found(restarts: bool) -> None:
    policies, directory = Timeline(TEN), KeyDirectory()
    directory.apply(ADMIN)
    watch, log, said = DormancyWatch(policies, directory), dict[bytes, bytes | None](), list[Signal]()
    for day in range(40):
        if day in (5, 20):
            roles = ["db-reader"] if day == 5 else ["db-admin"]
            directory.apply(replace(ADMIN, version=ADMIN.version + day, scope_roles=roles))
        said += _days(watch, TEN.version, day)
        log.update((change.key, change.value) for change in watch.take_changes())
        if restarts:
            watch = DormancyWatch(policies, directory)
            for name, value in log.items():
                watch.restore(name, value)
    [found] = said
    assert found.holds
    assert (MIDNIGHT + 30 * DAY) <= found.last_seen <= (MIDNIGHT + 32 * DAY)


def test_with_hours_of_an_earlier_version_alone_nothing_is_judged() -> None:
    """The hours that partitions have reached were known before this rule kept anything."""
    watch = DormancyWatch(Timeline(TEN), KeyDirectory())
    reports = [Report("iam", [Occurrence(MIDNIGHT, "1")])]
    watch.take(Attendance(1, MIDNIGHT // HOUR + 3 * 24, reports), TEN.version)
    assert list(watch.judge(MIDNIGHT // HOUR + 2 * 24)) == []


def test_keys_are_asked_for_where_a_day_may_end() -> None:
    stage = FindingStage(Timeline(TEN), KeyDirectory(), lambda: LATER, 1)

    def signals(hour: int) -> list[Signal]:
        at = Occurrence(MIDNIGHT + hour * HOUR, f"{hour}")
        attendance = Attendance(0, MIDNIGHT // HOUR + hour, _reports(at.occurred_at, at.event_id))
        return [
            carrier(ATTENDANCE, "stream", ATTENDANCE, [at.occurred_at], 1, TEN.version, attendance=attendance)
        ]

    for hour in range(51):
        stage.process(signals(hour))
    assert not stage.asks_for_keys(signals(51))
    assert not stage.asks_for_keys(signals(73))
    assert stage.asks_for_keys(signals(74))


Life = list[tuple[int, int, str]]  # day, partition, key
PARTITIONS, END = 3, 40
_lives = st.lists(
    st.tuples(st.integers(0, END), st.integers(0, PARTITIONS - 1), st.sampled_from(["a", "b", "c", "d"])),
    max_size=30,
)
SHORT = "version: 1\ndormancy: {days: 4}\n"
NARROW = "version: 1\ndormancy: {days: 7}\nprivileged_roles: [root]\n"
KEYS = (
    key("a", scope_roles=["root"]),
    key("b", scope_roles=["db-admin"], issued_at=NOON + 6 * DAY),
    key("c", scope_roles=["*"], revoked_at=NOON + 25 * DAY),
    key("d", scope_actions=["grant"], suspensions=[Suspension(NOON + 8 * DAY, NOON + 17 * DAY)]),
)


def _watched(life: Life, order: Iterable[int], chance: Random, restarts: bool) -> list[tuple[object, ...]]:
    """What is said where the partitions tell their days in this order, and are judged now and then."""
    first, second = parse_policy(SHORT, ""), parse_policy(NARROW, "")
    policies, directory = Timeline(first), KeyDirectory()
    policies.take(AppliedPolicy("narrow", second.version, NARROW, "carol", "k", "", None, NOON, {0: 9}))
    for one in KEYS:
        directory.apply(one)
    watch, log = DormancyWatch(policies, directory), dict[bytes, bytes | None]()
    done, said = [0] * PARTITIONS, list[tuple[object, ...]]()
    for partition in order:
        day = done[partition]
        done[partition] += 1
        # The second watches fewer keys; after it the first counts again.
        version = (first, second, first)[day * 3 // (END + 1)].version
        attendance = Attendance(
            partition,
            (MIDNIGHT + day * DAY) // HOUR + 23,
            _reports(MIDNIGHT + day * DAY + HOUR, f"{day}"),
            privileged=[
                PrivilegedUse(key_id, MIDNIGHT + day * DAY + HOUR, f"{day:02}-{key_id}")
                for when, where, key_id in life
                if (when, where) == (day, partition)
            ],
        )
        watch.take(attendance, version)
        if chance.random() < 0.5 or sum(done) == PARTITIONS * (END + 1):
            until = (MIDNIGHT + min(done) * DAY) // HOUR - 2 if min(done) else -1
            said += [
                (one.entity, one.holds, one.summary, one.first_seen, one.policy_version, str(one.events))
                for one in watch.judge(until)
            ]
        log.update((change.key, change.value) for change in watch.take_changes())
        if restarts and chance.random() < 0.2:
            watch = DormancyWatch(policies, directory)
            for name, value in log.items():
                assert watch.keeps(name)
                watch.restore(name, value)
    return said


@settings(max_examples=100, deadline=None)
@given(_lives, st.integers(0, 2**32))
def test_neither_order_nor_batches_nor_restarts_matter(life: Life, seed: int) -> None:
    chance = Random(seed)
    in_step = [partition for _ in range(END + 1) for partition in range(PARTITIONS)]
    one_by_one = [partition for partition in range(PARTITIONS) for _ in range(END + 1)]
    expected = _watched(life, in_step, Random(0), restarts=False)
    assert expected
    assert _watched(life, one_by_one, chance, restarts=False) == expected
    assert _watched(life, one_by_one[::-1], chance, restarts=True) == expected
    assert _watched(life, chance.sample(in_step, len(in_step)), chance, restarts=True) == expected


@settings(max_examples=12, deadline=None)
@given(_lives, st.integers(0, 2**32))
def test_order_within_the_allowed_lateness_does_not_matter(life: Life, seed: int) -> None:
    chance = Random(seed)
    made = [one for day, _, key_id in sorted(set(life)) for one in on(day, key_id=key_id)]
    events = by_time(made, clock(END + 5))
    late = {one.event_id: one.occurred_at + chance.randrange(2 * HOUR) for one in events}
    shuffled = sorted(events, key=lambda one: late[one.event_id])
    policy = replace(TEN, dormancy=DormancyLimits(days=5))
    ways = [(events, 1), (events, 17), (events, 5_000), (shuffled, 17), (shuffled, 5_000)]
    rows = [
        {(a.entity, a.status.replace("updated", "open"), a.count, *a.evidence) for a in found.values()}
        for found in (told(some, *KEYS, policy=policy, batch=batch) for some, batch in ways)
    ]
    assert all(row == rows[0] for row in rows)


@settings(max_examples=30, deadline=None)
@given(_lives)
def test_it_says_what_the_days_say(life: Life) -> None:
    """Of the key that always works: it lies at the end where its last use is so long ago."""
    uses = [day for day, _, key_id in life if key_id == "a"]
    made = [one for day in uses for one in on(day, key_id="a")]
    found = told(by_time(made, clock(END + 3)), KEYS[0]).get("a")
    rests = [later - day for day, later in zip(sorted([0, *uses]), sorted([*uses, END + 3]), strict=True)]
    assert (found is not None) == any(gap >= 10 for gap in rests)
    if found is not None:
        assert (found.status != "resolved") == (rests[-1] >= 10)
