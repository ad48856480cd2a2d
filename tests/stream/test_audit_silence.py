"""Services that always report, and stop: found by the events' time, whichever partition is ahead."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_triage import ADMIN, decided
from world import DAY, NOON, SECOND, World, event

from keytrail.schemas import avro
from keytrail.schemas.applied import AppliedPolicy
from keytrail.schemas.records import Anomaly, Attendance, Event, Occurrence, Report, Signal
from keytrail.schemas.triage import CLOSE
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import Readable
from keytrail.stream.silence.limits import SilenceLimits
from keytrail.stream.silence.progress import LATENESS
from keytrail.stream.silence.watch import SilenceWatch
from keytrail.stream.stages.event_stage import EventBatch, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.worker.at_hand import Slot

HOUR = 3600 * SECOND
LATER = NOON + 90 * DAY


def reports(service: str, hours: Iterable[float], **fields: object) -> list[Event]:
    return [event(service=service, occurred_at=int(NOON + hour * HOUR), **fields) for hour in hours]


def others(until: int) -> list[Event]:
    """Two services that tell the time, each hour."""
    return reports("vault", range(until + 1)) + reports("iam", range(until + 1))


def by_time(*some: Iterable[Event]) -> list[Event]:
    return sorted((one for each in some for one in each), key=lambda one: (one.occurred_at, one.event_id))


def silences(found: Iterable[Anomaly]) -> dict[str, Anomaly]:
    return {a.entity: a for a in found if a.rule == "audit_silence"}


def world_with_silence() -> World:
    world = World(clock=lambda: LATER)
    world.send(*by_time(reports("job", range(200)), others(220)))
    return world


def ahead(events: Iterable[Event], hours: float) -> list[Event]:
    """As a service tells them whose clock is so far ahead."""
    return [replace(one, occurred_at=one.occurred_at + int(hours * HOUR)) for one in events]


def told(events: Sequence[Event], policy: Policy | None = None) -> dict[str, Anomaly]:
    world = World(policy=policy, clock=lambda: LATER)
    world.send(*events, batch=100)
    return silences(world.current().values())


def test_a_service_that_reports_each_hour_is_missed_after_six() -> None:
    job = reports("job", range(200))
    assert told(by_time(job, others(199 + 6 + 2))) == {}
    [missed] = told(by_time(job, others(199 + 6 + 3))).values()
    assert (missed.entity, missed.status, missed.count) == ("job", "open", 1)
    assert missed.evidence == [job[-1].event_id]
    assert "has not since" in missed.summary
    back = told(by_time(job, others(230), reports("job", [218])))
    assert back["job"].status == "resolved"


def test_a_service_that_reports_each_day_is_missed_after_three() -> None:
    job = reports("backup", [24 * day + (day % 3) * 0.3 for day in range(24)])
    last = 24 * 23
    assert told(by_time(job, others(last + 72))) == {}
    assert "backup" in told(by_time(job, others(last + 80)))


def test_a_service_that_rests_on_weekends_is_missed_after_more_than_that() -> None:
    office = [24 * day + hour for day in range(40) if day % 7 < 5 for hour in range(9)]
    job = reports("desk", office)
    assert told(by_time(job, others(office[-1] + 3 * 64 - 10))) == {}
    assert "desk" in told(by_time(job, others(office[-1] + 3 * 64 + 10)))


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
    assert told(by_time(reports("job", hours), others(1_200))) == {}, name


def test_nobody_is_missed_where_all_are_silent_nor_by_one_wrong_clock() -> None:
    job = reports("job", range(200))
    assert told(by_time(job, others(199))) == {}
    assert told([*by_time(job, others(199)), *reports("skewed", range(210, 300))]) == {}


def test_what_comes_later_than_allowed_is_no_report() -> None:
    gap = by_time(reports("job", [h for h in range(300) if not 203 <= h <= 212]), others(299))
    assert told(gap)["job"].status == "resolved"
    in_time = next(place for place, one in enumerate(gap) if one.occurred_at > NOON + 208.5 * HOUR)
    late = next(place for place, one in enumerate(gap) if one.occurred_at > NOON + 211.5 * HOUR)
    assert told(gap[:in_time] + reports("job", [207]) + gap[in_time:]) == {}
    assert told(gap[:late] + reports("job", [207]) + gap[late:])["job"].status == "resolved"


def test_a_service_that_is_gone_for_long_begins_anew() -> None:
    job = reports("job", [*range(100), *range(1_000, 1_200)])
    found = told(by_time(job, others(1_209)))["job"]
    assert found.status == "open"
    assert found.first_seen == NOON + 1_199 * HOUR


def test_limits_are_the_policys_and_a_rule_can_be_off() -> None:
    events = by_time(reports("job", range(200)), others(215))
    assert told(events, Policy(silence=SilenceLimits(least_hours=100))) == {}
    assert told(events, Policy(rules=(RuleSetting("audit_silence", enabled=False),))) == {}
    low = Policy(rules=(RuleSetting("audit_silence", severity="low"),))
    assert [a.severity for a in told(events, low).values()] == ["low"]


def test_attendance_comes_through_the_topic_as_it_was_and_has_one_place() -> None:
    world = World()
    [output] = world.send(event(service="iam"), event(service="vault"))
    [told] = [signal for signal in output.signals if signal.attendance]
    schema = avro.parse(avro.schema_text("signal"))
    assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(told), 0) == told
    assert told.attendance is not None
    assert {report.service for report in told.attendance.reports} == {"iam", "vault"}
    assert told.attendance.hour == NOON // HOUR
    [close] = World([ADMIN]).send(decided(CLOSE, silences(world_with_silence().current().values())["job"]))
    [decision] = [signal for signal in close.signals if signal.triage]
    assert routing_key(decision) == routing_key(told)


def test_hours_that_a_partition_holds_back_are_kept_for_eight_weeks() -> None:
    watch = SilenceWatch(Timeline(Policy()), partitions=2)
    start, size = NOON // HOUR, 0
    for hour in range(start, start + 5_000):
        at = Occurrence(hour * HOUR, f"id-{hour}")
        watch.take(Attendance(0, hour, [Report("job", [at])]), Policy().version)
        assert list(watch.judge()) == []
        size = max(size, *(len(change.value or b"") for change in watch.take_changes()))
    assert size < 100_000
    late = start + 5_000 + 20
    for service, partition in (("iam", 0), ("vault", 1)):
        seen = [Occurrence(late * HOUR, service)]
        watch.take(Attendance(partition, late, [Report(service, seen)]), Policy().version)
    [found] = watch.judge()
    assert (found.entity, found.last_seen) == ("job", (start + 4_999) * HOUR)


_GAPS = st.one_of(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(300, 900))


def watched(hours: Sequence[int], until: int, step: int, limits: SilenceLimits) -> list[tuple[bool, str]]:
    """What is said of a service, where so many hours come together."""
    policy = Policy(silence=limits)
    watch, said = SilenceWatch(Timeline(policy), 1), []
    for end in [*range(step, until, step), until]:
        events = [
            Occurrence((NOON // HOUR + hour) * HOUR, str(hour)) for hour in hours if end - step <= hour < end
        ]
        reports = [Report("job", events)] if events else []
        watch.take(Attendance(0, NOON // HOUR + end + LATENESS, reports), policy.version)
        said += [(signal.holds, *[at.event_id for at in signal.events]) for signal in watch.judge()]
    return said


@settings(max_examples=100, deadline=None)
@given(st.lists(_GAPS, min_size=5, max_size=60), st.integers(1, 1_000), st.floats(1, 100))
@example([2] * 100, 700, 3.0)
@example([2] * 100, 800, 336.5)
@example([2] * 100 + [700, 2, 2], 60, 335.5)
def test_months_at_once_say_what_single_hours_do(gaps: list[int], rest: int, times: float) -> None:
    limits = SilenceLimits(times=times, least_hours=2, known_days=1, regular_reports=5, busy_hours=10)
    hours = list(accumulate(gaps, initial=0))
    until = hours[-1] + rest
    assert watched(hours, until, 1, limits) == watched(hours, until, until, limits)
    assert watched(hours, until, 100, limits) == watched(hours, until, until, limits)


# Small limits, so that random lives meet them; and others from the middle of each partition on.
SMALL = "version: 1\nsilence: {times: 1.5, least_hours: 2, known_days: 1, regular_reports: 5, busy_hours: 10}"
OTHER = "version: 1\nsilence: {times: 2.5, least_hours: 3, known_days: 1, regular_reports: 5, busy_hours: 10}"
PARTITIONS = 3
Row = tuple[str, str, int, str, tuple[str, ...]]


class Stages:
    """An event stage for each partition, and the finding stage; any of them may be started again."""

    def __init__(
        self,
        logs: list[list[Event]],
        arrived: dict[str, int] | None = None,
        rule: str = "audit_silence",
    ) -> None:
        self._logs = logs
        self._rule = rule
        self._arrived = arrived or {}
        self._done = [0] * len(logs)
        self._policies = Timeline(parse_policy(SMALL, ""))
        starts = {partition: len(log) // 2 for partition, log in enumerate(logs)}
        version = parse_policy(OTHER, "").version
        self._policies.take(
            AppliedPolicy("other", version, OTHER, "carol", "pk_admin", "tuning", None, NOON, starts)
        )
        self._state: list[dict[bytes, bytes | None]] = [{} for _ in logs]
        self._found: dict[bytes, bytes | None] = {}
        self._latest: dict[str, Anomaly] = {}
        self.start()

    def start(self) -> None:
        """Anew, from what the changelogs keep."""
        self._events = []
        for partition, state in enumerate(self._state):
            reader = None
            stage = EventStage(
                partition,
                reader,
                KeyDirectory(),
                self._policies,
                lambda: LATER,
                Slot(),  # type: ignore[arg-type]
            )
            for key, value in state.items():
                stage.restore(key, value)
            self._events.append(stage)
        self._findings = FindingStage(self._policies, KeyDirectory(), lambda: LATER, len(self._logs))
        for key, value in self._found.items():
            self._findings.restore(key, value)

    def go_on(self, partition: int, most: int) -> list[Signal]:
        """Signals of the partition's next batch."""
        begin = self._done[partition]
        some = self._logs[partition][begin : begin + most]
        if not some:
            return []
        self._done[partition] += len(some)
        batch = EventBatch(list(range(begin, begin + len(some))), LATER)
        batch.readable += [
            Readable(one, b"", b"", begin + at, arrived=self._arrived.get(one.event_id))
            for at, one in enumerate(some)
        ]
        output = self._events[partition].process(batch)
        changes = self._events[partition].take_changes()
        self._state[partition].update((change.key, change.value) for change in changes)
        return output.signals

    def take(self, signals: Iterable[Signal]) -> None:
        anomalies = self._findings.process(signals)
        self._found.update((change.key, change.value) for change in self._findings.take_changes())
        self._latest.update((a.entity, a) for a in anomalies if a.rule == self._rule)

    def rows(self) -> set[Row]:
        anomalies = self._findings.settle()
        self._latest.update((a.entity, a) for a in anomalies if a.rule == self._rule)
        return {
            (a.entity, a.status.replace("updated", "open"), a.count, a.policy_version, tuple(a.evidence))
            for a in self._latest.values()
        }


def in_order(
    logs: list[list[Event]],
    order: Sequence[int],
    batch: int,
    arrived: dict[str, int] | None = None,
    rule: str = "audit_silence",
) -> set[Row]:
    """One partition entirely before another."""
    stages = Stages(logs, arrived, rule)
    for partition in order:
        for _ in range(0, len(logs[partition]), batch):
            stages.take(stages.go_on(partition, batch))
    return stages.rows()


def anyhow(
    logs: list[list[Event]],
    chance: Random,
    arrived: dict[str, int] | None = None,
    rule: str = "audit_silence",
) -> set[Row]:
    """Batches of any size from any partition, drawn together or not, with restarts in between."""
    stages = Stages(logs, arrived, rule)
    left = {partition: len(log) for partition, log in enumerate(logs)}
    while left:
        signals = []
        for _ in range(chance.randint(1, 3)):
            if left:
                partition, most = chance.choice(sorted(left)), chance.choice([1, 7, 40])
                signals += stages.go_on(partition, most)
                left[partition] -= most
                left = {name: rest for name, rest in left.items() if rest > 0}
        stages.take(signals)
        if chance.random() < 0.1:
            stages.start()
    return stages.rows()


_minutes = st.integers(0, 60 * 60)
_seeds = st.integers(0, 2**32)
_lives = st.lists(st.tuples(st.sampled_from("abc"), _minutes), min_size=20, max_size=120)


def _events(life: list[tuple[str, int]]) -> list[Event]:
    made = [
        event(service=what, occurred_at=NOON + minute * 60 * SECOND + number)
        for number, (what, minute) in enumerate(life)
    ]
    return by_time(made, reports("vault", range(0, 90, 3)), reports("iam", range(0, 90, 2)), others(90)[::2])


def _logs(events: Iterable[Event], chance: Random) -> list[list[Event]]:
    """Partitions in which two services go on to the end."""
    logs: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for one in events:
        logs[chance.randrange(PARTITIONS)].append(one)
    for log in logs:
        log.extend(by_time(reports("vault", range(91, 120)), reports("iam", range(91, 120))))
    return logs


@settings(max_examples=60, deadline=None)
@given(_lives, _seeds)
def test_neither_batches_nor_restarts_nor_which_partition_is_ahead_matter(
    life: list[tuple[str, int]], seed: int
) -> None:
    events, chance = _events(life), Random(seed)
    late = {one.event_id: one.occurred_at + chance.randrange(3 * HOUR) for one in events}
    logs = _logs(sorted(events, key=lambda one: late[one.event_id]), chance)
    expected = in_order(logs, range(PARTITIONS), 1)
    assert in_order(logs, range(PARTITIONS)[::-1], 5_000) == expected
    assert in_order(logs, range(PARTITIONS), 17) == expected
    assert anyhow(logs, chance) == expected


@settings(max_examples=60, deadline=None)
@given(_lives, _seeds)
def test_order_within_the_allowed_lateness_does_not_matter(life: list[tuple[str, int]], seed: int) -> None:
    chance = Random(seed)
    logs = _logs(_events(life), chance)
    late = {one.event_id: one.occurred_at + chance.randrange(2 * HOUR) for log in logs for one in log}
    shuffled = [sorted(log, key=lambda one: late[one.event_id]) for log in logs]
    # The policy goes by offsets, so that only what it says of neither half's limits can be compared.
    found = [{row[:3] for row in in_order(some, range(PARTITIONS), 17)} for some in (logs, shuffled)]
    assert found[0] == found[1]


def test_services_that_share_a_wrong_clock_make_nobody_look_silent() -> None:
    """A day ahead in all partitions, as far as events may be; the others go on by the right time."""
    skewed = {service: reports(service, range(100, 230)) for service in ("bad", "worse")}
    right = by_time(others(230), reports("job", range(231)), *skewed.values())
    wrong = [ahead([one], 24)[0] if one.service in skewed else one for one in right]
    arrived = {one.event_id: one.occurred_at for one in right}
    logs = [[replace(one, event_id=f"{one.event_id}/{p}") for one in wrong] for p in range(PARTITIONS)]
    known = {f"{name}/{p}": at for name, at in arrived.items() for p in range(PARTITIONS)}
    assert {row[0] for row in in_order(logs, range(PARTITIONS), 100)} == {"iam", "job", "vault"}
    assert in_order(logs, range(PARTITIONS), 100, known) == set()


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 12])
def test_a_brokers_clock_that_falls_back_makes_nobody_look_silent(hours: int) -> None:
    right = by_time(others(230), reports("job", range(231)))
    logs = [[replace(one, event_id=f"{one.event_id}/{p}") for one in right] for p in range(PARTITIONS)]
    behind = range(NOON + 100 * HOUR, NOON + 150 * HOUR)
    arrived = {
        one.event_id: one.occurred_at - hours * HOUR * (one.occurred_at in behind)
        for log in logs
        for one in log
    }
    assert in_order(logs, range(PARTITIONS), 100, arrived) == set()


@settings(max_examples=60, deadline=None)
@given(_lives, st.lists(st.tuples(st.sampled_from(["a", "b", "iam", "vault"]), st.floats(0, 24))), _seeds)
def test_what_clocks_say_that_are_ahead_changes_nothing(
    life: list[tuple[str, int]], skews: list[tuple[str, float]], seed: int
) -> None:
    chance, skew = Random(seed), dict(skews)
    logs = _logs(_events(life), chance)
    arrived = {one.event_id: one.occurred_at for log in logs for one in log}
    wrong = [[ahead([one], skew.get(one.service, 0))[0] for one in log] for log in logs]
    expected = in_order(logs, range(PARTITIONS), 17, arrived)
    assert in_order(wrong, range(PARTITIONS)[::-1], 5_000, arrived) == expected
    assert anyhow(wrong, chance, arrived) == expected


@settings(max_examples=60, deadline=None)
@given(_lives, st.integers(0, 10**9), _seeds)
def test_what_comes_long_after_it_happened_is_judged_by_when_it_happened(
    life: list[tuple[str, int]], later: int, seed: int
) -> None:
    """An import, or a replay: the broker has had it long after."""
    logs = _logs(_events(life), Random(seed))
    arrived = {one.event_id: LATER + later for log in logs for one in log}
    found = [in_order(logs, range(PARTITIONS), 17, known) for known in (None, arrived)]
    assert found[0] == found[1]
