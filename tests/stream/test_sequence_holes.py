"""Numbers that producers gave and that never came: found over all partitions, by the events' time."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_audit_silence import HOUR, PARTITIONS, Row, anyhow, by_time, in_order, others, reports
from test_triage import ADMIN, decided
from world import NOON, World, event

from keytrail.schemas import avro
from keytrail.schemas.records import Anomaly, Attendance, Event, NumberBlock, RunNumbers, Signal, ToldLoss
from keytrail.schemas.triage import CLOSE
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences import run as run_module
from keytrail.stream.sequences import watch as watch_module
from keytrail.stream.sequences.limits import SequenceLimits
from keytrail.stream.sequences.losses import Losses
from keytrail.stream.sequences.run import NOT_YET, WINDOW
from keytrail.stream.sequences.watch import SequenceWatch

RULE = "sequence_holes"
RUN = "job:1"
SECOND = 1_000_000
BEGIN = NOON // HOUR


def numbered(
    numbers: Iterable[int], hour: float = 2, run: str = RUN, service: str = "job", **fields: object
) -> list[Event]:
    """Events of a run, a second after each other."""
    return [
        event(
            service=service,
            subject=f"s{number % 7}",
            occurred_at=int(NOON + hour * HOUR) + place * SECOND,
            producer_id=run,
            sequence=number,
            **fields,
        )
        for place, number in enumerate(numbers)
    ]


def loss(count: int, first: int, last: int, number: int, hour: float = 2.1, run: str = RUN) -> list[Event]:
    """As the SDK tells of one."""
    said = {"producer_id": run, "count": str(count), "first": str(first), "last": str(last), "why": "full"}
    return numbered([number], hour, action="audit_loss", outcome="failure", attributes=said)


def run_of(hour: int, service: str = "job") -> str:
    """The id that the SDK gives a run that begins then."""
    made = (BEGIN + hour) * HOUR // 1_000
    return f"{service}:{UUID(int=made << 80 | 7 << 76 | 2 << 62 | 5)}"


def rows(world: World) -> dict[str, Anomaly]:
    return {a.entity: a for a in world.current().values() if a.rule == RULE}


def told(*some: Iterable[Event], policy: Policy | None = None, until: int = 20) -> dict[str, Anomaly]:
    world = World(policy=policy, clock=lambda: NOON + 10_000 * HOUR)
    world.send(*by_time(*some, others(until)), batch=100)
    return rows(world)


def counted(*some: Iterable[Event], batch: int = 2_000) -> dict[str, Anomaly]:
    """As `told`, where the events themselves tell the time."""
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    world.send(*by_time(*some), batch=batch)
    return rows(world)


def test_numbers_that_never_came_are_one_finding_of_the_service() -> None:
    holed = numbered([1, 2, 3, 7, 8, 11])
    assert told(holed, until=4) == {}
    [found] = told(holed, until=5).values()
    assert (found.entity_type, found.entity, found.cause) == ("service", "job", "")
    assert (found.status, found.severity, found.count) == ("open", "high", 5)
    assert (found.details["run"], found.details["first"], found.details["last"]) == (RUN, "4", "10")
    assert found.first_seen == found.last_seen == (BEGIN + 2) * HOUR
    assert "5 events that job numbered have not come" in found.summary


def test_holes_of_several_runs_are_one_finding_that_grows() -> None:
    first, second = numbered([1, 4], 2), numbered([1, 2, 5], 6, "job:2")
    other = numbered([7, 9], 7, "desk:1", "desk")
    found = told(first, second, other)
    assert {entity: one.count for entity, one in found.items()} == {"job": 4, "desk": 1}
    assert (found["job"].details["runs"], found["job"].details["run"]) == ("2", "job:2")
    assert found["job"].first_seen == (BEGIN + 2) * HOUR
    assert found["job"].last_seen == (BEGIN + 6) * HOUR


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("without numbers", reports("job", range(10))),
        ("no hole", numbered(range(1, 3_000))),
        ("not by time", numbered([5, 3, 1, 2, 4])),
        ("a new run", numbered([1, 2, 3]) + numbered([1, 2], 4, "job:2")),
        ("late as far as allowed", numbered([1, 3], 2) + numbered([2], 4.4)),
        ("not numbered, and again numbered", numbered([1, 2]) + numbered([0, 0]) + numbered([3])),
        ("two services of one run", numbered([1, 3]) + numbered([2, 4], service="desk")),
        ("one that came twice", numbered([1, 2]) + numbered([2, 3])),
    ],
)
def test_what_is_no_hole_is_silent(name: str, events: list[Event]) -> None:
    assert told(events) == {}, name


def test_what_comes_later_closes_the_hole() -> None:
    holed = numbered([1, 2, 3, 7], 2)
    assert told(holed, numbered([5], 8))["job"].count == 2
    closed = told(holed, numbered([5, 4, 6], 8))["job"]
    assert (closed.status, closed.count) == ("resolved", 3)
    again = told(holed, numbered([5, 4, 6], 8), numbered([9], 14))["job"]
    assert (again.status, again.count, again.details["first"]) == ("open", 1, "8")


def test_what_the_producer_tells_is_said() -> None:
    partly = told(numbered([1, 2]), numbered([9]), loss(4, 3, 6, 10))["job"]
    assert (partly.count, partly.severity, partly.details["told_lost"]) == (6, "high", "4")
    wholly = told(numbered([1, 2]), numbered([7]), loss(4, 3, 6, 8))["job"]
    assert (wholly.count, wholly.severity, wholly.details["told_lost"]) == (4, "medium", "4")
    assert "told 4 of them as lost itself" in wholly.summary
    # The latest telling makes up for the earlier ones.
    twice = told(numbered([1, 2]), numbered([9]), loss(2, 3, 4, 10), loss(6, 3, 8, 11, 2.5))["job"]
    assert (twice.count, twice.severity, twice.details["told_lost"]) == (6, "medium", "6")


def test_a_loss_that_is_told_needs_no_later_number() -> None:
    tail = told(numbered([1, 2, 3], run="job:9"), loss(5, 4, 8, 1, run="job:9"))["job"]
    assert (tail.count, tail.details["run"], tail.details["last"]) == (5, "job:9", "8")
    nothing_came = told(loss(5, 1, 5, 1, run="job:9"))["job"]
    assert (nothing_came.count, nothing_came.severity) == (5, "medium")


@pytest.mark.parametrize("said", [{}, {"count": "x"}, {"first": "-1"}, {"last": "9" * 30}, {"count": "٣"}])
def test_a_loss_that_cannot_be_read_tells_nothing(said: dict[str, str]) -> None:
    [odd] = loss(5, 4, 8, 3)
    attributes = {**odd.attributes, **said} if said else {}
    assert told(numbered([1, 2]), [replace(odd, attributes=attributes)]) == {}


def test_a_run_counts_from_one_where_its_id_says_that_it_is_new() -> None:
    assert told(numbered([51, 52], 4)) == {}
    assert told(numbered([51, 52], 6, run_of(5)))["job"].count == 50
    assert told(numbered([51, 52], 6, run_of(-5))) == {}


def test_what_was_given_out_before_keytrail_counted_is_not_missing() -> None:
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    before = numbered([3, 9], 0) + numbered([20], 1) + numbered([30, 31, 33], 5)
    world.send(*by_time(before, others(20)), batch=100)
    assert rows(world)["job"].count == 1


def test_a_number_far_ahead_moves_nothing_and_is_told() -> None:
    forged = numbered([2**62], 4.5, service="job")
    found = told(numbered(range(1, 5), 2), forged, numbered([5, 6, 8], 5))["job"]
    assert (found.count, found.details["missing"], found.details["stray"]) == (2, "1", "1")
    assert found.details["first_stray"] == str(2**62)
    alone = told(numbered(range(1, 5), 2), forged, numbered(range(5, 9), 5))["job"]
    assert (alone.count, alone.severity) == (1, "high")
    assert "far ahead" in alone.summary


def test_forged_numbers_and_runs_are_bounded() -> None:
    chance = Random(5)
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    sparse = numbered([chance.randrange(1, 2**62) for _ in range(2_000)], 2)
    runs = [one for place in range(14_000) for one in numbered([7, 9], 2.5, f"run-{place}", "flood")]
    own = numbered([1, 2, 5], 2.1, "desk:1", "desk")
    world.send(*by_time(sparse, runs, own, others(40)), batch=2_000)
    found = rows(world)
    assert found.keys() >= {"desk"}
    assert found["desk"].count == 2
    kept = {key: value for key, value in world.finding_changelog if value is not None}
    gone = {key for key, value in world.finding_changelog if value is None}
    left = {key: value for key, value in kept.items() if key.startswith(b"sequence-") and key not in gone}
    assert sum(len(key) + len(value) for key, value in left.items()) < 1_000_000
    # Numbers are decided on again afterwards.
    world.send(*by_time(numbered([1, 4], 41, "job:2"), reports("iam", [42, 50]), reports("vault", [42, 50])))
    assert rows(world)["job"].details["missing"] == "2"


def test_of_a_run_with_numbers_without_end_none_is_missing_in_those_hours() -> None:
    watch, version = SequenceWatch(Timeline(Policy()), partitions=1), Policy().version
    for hour, blocks in (
        (5, range(0, 70_000 * 2, 2)),
        (9, range(150_000, 150_002)),
        (12, range(150_003, 150_004)),
    ):
        numbers = RunNumbers(RUN, "job", hour, [NumberBlock(block, b"\x01") for block in blocks])
        watch.take(Attendance(0, hour, [], numbers=[numbers], numbers_from=0), version)
        assert len(watch.take_changes()) < 140_000
    found = list(watch.judge(30))
    assert [(one.holds, one.count) for one in found] == [(True, 1_023), (True, 1_023 + 2_047)]
    assert {
        change.key: change.value for change in watch.take_changes() if change.value is not None
    }.keys() == {
        b"sequence-hours/all",
        f"sequence-run/{RUN}".encode(),
    }


def test_a_clock_that_is_ahead_deceives_nobody() -> None:
    ahead = [replace(one, occurred_at=one.occurred_at + 20 * HOUR) for one in numbered([1, 2, 3, 6], 2)]
    right = numbered([1, 2, 4], 3, "desk:1", "desk")
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    came = {one.event_id: int(NOON + 2 * HOUR) for one in ahead}
    events = sorted(by_time(ahead, right, others(8)), key=lambda one: came.get(one.event_id, one.occurred_at))
    world.send(*events, batch=7, arrived=lambda one: came.get(one.event_id, one.occurred_at))
    assert {entity: one.count for entity, one in rows(world).items()} == {"job": 2, "desk": 1}


def test_limits_are_the_policys_and_a_rule_can_be_off() -> None:
    late = numbered([1, 3], 2) + numbered([2], 6)
    assert told(late)["job"].status == "resolved"
    assert told(late, policy=Policy(sequences=SequenceLimits(late_hours=4))) == {}
    assert told(late, policy=Policy(rules=(RuleSetting(RULE, enabled=False),))) == {}
    low = Policy(rules=(RuleSetting(RULE, severity="low"),))
    assert told(numbered([1, 3]), policy=low)["job"].severity == "low"


def ticks(begin: int, end: int) -> list[Event]:
    """Two services that tell the time, not each hour."""
    return by_time(reports("iam", range(begin, end, 20)), reports("vault", range(begin, end, 20)))


def test_a_run_that_rests_is_forgotten_and_its_finding_stays() -> None:
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    other = run_of(1, "desk")
    world.send(
        *by_time(numbered([1, 3], 2), numbered([1, 2], 2, other, "desk"), ticks(0, WINDOW + 100)), batch=50
    )
    assert rows(world)["job"].status == "open"
    kept = dict(world.finding_changelog)
    assert kept[f"sequence-run/{RUN}".encode()] is None
    assert kept[f"sequence-run/{other}".encode()] is None
    # What it gave out in between is not known, whatever its id says.
    late = numbered([9, 10], WINDOW + 200, other, "desk")
    world.send(*by_time(numbered([9, 12], WINDOW + 200), late, ticks(WINDOW + 100, WINDOW + 300)))
    assert {entity: one.count for entity, one in rows(world).items()} == {"job": 3}
    assert (rows(world)["job"].details["runs"], rows(world)["job"].details["run_missing"]) == ("2", "2")


def test_what_a_forgotten_run_lacks_is_not_said_to_have_come() -> None:
    late = numbered([1, 3], WINDOW + 200, "job:2") + numbered([2], WINDOW + 220, "job:2")
    found = counted(numbered([1, 3], 2), late, ticks(0, WINDOW + 300))["job"]
    assert (found.status, found.count, found.details["run"]) == ("open", 1, "")
    assert found.summary == "1 events that job numbered have not come."


def test_a_run_rests_by_what_came_until_then_and_not_by_what_is_told_ahead() -> None:
    time = ticks(0, WINDOW + 100)
    own = numbered([1, 2], 5) + numbered([9, 11], WINDOW + 20, service="desk")
    logs = [by_time(own, time)] + [time] * (PARTITIONS - 1)
    expected = in_order(logs, range(PARTITIONS), 1, rule=RULE)
    assert _open(expected) == {"desk": 1}
    assert in_order(logs, range(PARTITIONS)[::-1], 1, rule=RULE) == expected
    assert in_order(logs, range(PARTITIONS), 5_000, rule=RULE) == expected
    assert anyhow(logs, Random(1), rule=RULE) == expected


def flood(hours: Iterable[int], many: int, service: str = "job") -> list[Event]:
    """Runs that last a moment, so many an hour."""
    return [
        one
        for hour in hours
        for place in range(many)
        for one in numbered([1], hour + 0.5, f"run-{hour}-{place}", service)
    ]


def test_runs_that_lack_something_are_kept_among_many_that_wait() -> None:
    holed = numbered([1, 5], 4) + numbered([1, 3], 15, "job:2")
    busy = flood(range(2, 30), 400)
    assert counted(holed, busy, others(40))["job"].count == 4
    assert counted(holed, numbered([2], 20, "job:2"), busy, others(40))["job"].count == 3


def test_of_many_runs_the_same_are_forgotten_whichever_partition_is_ahead() -> None:
    time = others(40)
    own = numbered([1, 5], 3) + numbered([1, 3], 10, "job:2")
    logs = [by_time(own, flood(range(8, 30), 100), time)] + [time] * (PARTITIONS - 1)
    expected = in_order(logs, range(PARTITIONS), 5_000, rule=RULE)
    assert _open(expected) == {"job": 4}
    assert in_order(logs, range(PARTITIONS)[::-1], 100, rule=RULE) == expected


def test_many_new_runs_hide_no_hole_of_one_that_is_known() -> None:
    holed = numbered([1, 2], 4) + numbered([5], 7)
    time = others(40)
    for hour in (9, 30):
        many = flood([hour], 11_050)
        assert counted(holed, many, time)["job"].count == 2
        logs = [by_time(holed, many, time)] + [time] * (PARTITIONS - 1)
        assert _open(in_order(logs, range(PARTITIONS), 5_000, rule=RULE)) == {"job": 2}


def test_many_runs_of_one_service_hide_nothing_of_another() -> None:
    new = numbered([4, 5], 14, run_of(12, "desk"), "desk")
    assert counted(new, flood(range(2, 20), 400), others(40))["desk"].count == 3
    # Of their own one new runs may be those that were forgotten.
    own = numbered([4, 5], 18, run_of(3))
    assert counted(own, flood(range(2, 20), 400), others(40)) == {}


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("its clock is ahead, and it ran before keytrail did", numbered(range(501, 601), 4, run_of(7))),
        (
            "it comes again after a long rest",
            numbered(range(1, 101), 5, run_of(50_000))
            + numbered(range(101, 105), WINDOW + 50, run_of(50_000)),
        ),
        ("it began long before its first number came", numbered([51, 52], WINDOW + 50, run_of(10))),
    ],
)
def test_what_a_runs_id_says_is_taken_only_where_it_fits(name: str, events: list[Event]) -> None:
    assert counted(events, ticks(0, WINDOW + 150), batch=1) == {}, name


def test_a_telling_is_about_the_numbers_that_it_names() -> None:
    before = loss(100, 10, 400, 502, 4.1)
    elsewhere = told(numbered([500, 501], 4), before, numbered([553, 554], 6))["job"]
    assert (elsewhere.count, elsewhere.severity, elsewhere.details["told_lost"]) == (50, "high", "0")
    forged = told(numbered([1, 2], 4), loss(10**15, 10**16, 10**17, 1, 4.1), numbered([53, 54], 6))["job"]
    assert (forged.count, forged.severity) == (50, "high")
    came = [loss(4, 3, 6, 7, 2.2), numbered([3, 4, 5, 6], 3)]
    others_lost = told(numbered([1, 2]), *came, numbered([8, 13], 8))["job"]
    assert (others_lost.count, others_lost.severity) == (4, "high")


def test_forged_tellings_stay_small() -> None:
    forged = [
        replace(one, attributes={**one.attributes, "why": f"{place} {'😀' * 590}"})
        for place in range(4_000)
        for one in loss(1, 1, 1, place + 1, 2, "any")
    ]
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    outputs = world.send(*forged, batch=5_000)
    encode = avro.encoder(avro.parse(avro.schema_text("signal")))
    assert max(len(encode(signal)) for output in outputs for signal in output.signals) < 1_000_000
    states = [len(value) for _, value in world.finding_changelog if value is not None]
    assert max(states) < 100_000


def test_of_too_many_tellings_the_same_are_heard_in_any_order() -> None:
    tellings = [(hour, ToldLoss(f"{why}", hour, 1, hour)) for hour in range(1, 21) for why in range(20)]
    heard = []
    for seed in range(5):
        Random(seed).shuffle(tellings)
        losses = Losses()
        for hour, one in tellings:
            losses.tell(hour, one)
        losses.hear(30)
        heard.append(losses)
        assert not losses.telling
        assert losses.among([(1, 100)]) > 100 - 1
    assert heard[1:] == heard[:-1]


@pytest.mark.parametrize("order", [("aa", "bb"), ("bb", "aa")])
def test_a_number_that_two_services_name_is_the_same_ones_in_any_batch(order: tuple[str, str]) -> None:
    first, second = order
    same = numbered([1], 2, service=first) + numbered([1, 4], 2.1, service=second)
    for batch in (1, 100):
        found = counted(same, others(20), batch=batch)
        assert {entity: one.count for entity, one in found.items()} == {"aa": 2}


def test_holes_without_number_are_not_said_to_lie_somewhere() -> None:
    every_second = numbered(range(1, 2_600, 2), 2) + numbered(range(2, 2_600, 2), 8)
    found = told(every_second)["job"]
    assert (found.status, found.count) == ("updated", 299)
    assert found.summary == "299 events that job numbered have not come."


def test_runs_that_are_forgotten_leave_nothing_in_memory() -> None:
    watch, version = SequenceWatch(Timeline(Policy()), partitions=1), Policy().version
    runs = [RunNumbers(f"r{place}", f"s{place}", 5, [NumberBlock(0, b"\x06")]) for place in range(50)]
    watch.take(Attendance(0, 5, [], numbers=runs, numbers_from=0), version)
    assert list(watch.judge(2 * WINDOW)) == []
    assert [value for value in vars(watch).values() if isinstance(value, dict) and value] == []


def test_numbers_come_through_the_topic_as_they_were_and_decisions_go_where_they_are() -> None:
    world = World()
    [output] = world.send(*numbered([1, 2, 5_000]), *loss(4, 3, 6, 8), *others(0))
    carried = [one for one in output.signals if one.attendance and one.attendance.numbers]
    schema = avro.parse(avro.schema_text("signal"))
    for one in carried:
        assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(one), 0) == one
    [numbers, lost] = sorted(
        (each for one in carried if one.attendance for each in one.attendance.numbers),
        key=lambda n: len(n.lost),
    )
    assert [(block.block, block.bits) for block in numbers.blocks] == [
        (0, bytes([0b110, 0b1])),
        (4, (1 << (5_000 - 4_096)).to_bytes(114, "little")),
    ]
    assert (lost.blocks, lost.lost[0].count) == ([], 4)
    found = told(numbered([1, 3]))["job"]
    [close] = World([ADMIN]).send(decided(CLOSE, found))
    [decision] = [signal for signal in close.signals if signal.triage]
    assert routing_key(decision) == routing_key(carried[0])


def test_numbers_of_an_earlier_version_are_not_missed() -> None:
    """A partition whose worker told none holds the rule back, and what it did not tell is no hole."""
    watch, version = SequenceWatch(Timeline(Policy()), partitions=2), Policy().version

    def tell(partition: int, hour: int, bits: int, begin: int) -> list[tuple[str, int]]:
        block = NumberBlock(0, bits.to_bytes(8, "little"))
        numbers = [RunNumbers(RUN, "job", hour, [block])] if bits else []
        watch.take(Attendance(partition, hour, [], numbers=numbers, numbers_from=begin), version)
        return [(one.entity, one.count) for one in watch.judge(hour)]

    assert tell(0, 10, 0b00010, 10) == []
    assert tell(1, 10, 0, NOT_YET) == []
    assert tell(0, 20, 0b01000, 10) == []
    assert tell(1, 20, 0b10000, 20) == []
    assert tell(0, 23, 0b100000, 10) == []
    assert tell(1, 30, 0b10000000, 20) == []
    assert tell(0, 40, 0, 10) == [("job", 1)]


def _naive(logs: list[list[Event]]) -> dict[str, int]:
    """What is missing in the end, of runs that begin after the second hour; all counts from the lowest."""
    seen: dict[str, set[int]] = {}
    for log in logs:
        for one in log:
            if one.sequence:
                seen.setdefault(one.producer_id, set()).add(one.sequence)
    missing: dict[str, int] = {}
    for run, numbers in seen.items():
        service = run.partition(":")[0]
        missing[service] = missing.get(service, 0) + max(numbers) - min(numbers) + 1 - len(numbers)
    return {service: count for service, count in missing.items() if count}


_numbers = st.lists(st.integers(1, 60), min_size=1, max_size=30, unique=True)
_minutes = st.integers(3 * 60, 20 * 60)
_lives = st.dictionaries(
    st.sampled_from(["a:1", "a:2", "b:1"]), st.tuples(_numbers, _minutes, st.integers(1, 30)), min_size=1
)
_seeds = st.integers(0, 2**32)


def _events(life: dict[str, tuple[list[int], int, int]]) -> list[Event]:
    """Each run gives out its numbers in order, so many minutes after each other; those missing never come."""
    return [
        event(
            service=run.partition(":")[0],
            subject=f"s{number}",
            occurred_at=NOON + (begin + pace * number) * 60 * SECOND + number,
            producer_id=run,
            sequence=number,
        )
        for run, (numbers, begin, pace) in life.items()
        for number in numbers
    ]


def _logs(events: Iterable[Event], chance: Random, until: int = 65) -> list[list[Event]]:
    """Partitions with two services that tell the time in each; events come up to three hours late."""
    logs: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for one in events:
        logs[chance.randrange(PARTITIONS)].append(one)
    for place, log in enumerate(logs):
        late = {one.event_id: one.occurred_at + chance.randrange(6 * HOUR) for one in log}
        ticks = by_time(reports("vault", range(until)), reports("iam", range(until)))
        late |= {one.event_id: one.occurred_at for one in ticks}
        logs[place] = sorted([*log, *ticks], key=lambda one: late[one.event_id])
    return logs


@settings(max_examples=40, deadline=None)
@given(_lives, _seeds)
def test_neither_batches_nor_restarts_nor_which_partition_is_ahead_matter(
    life: dict[str, tuple[list[int], int, int]], seed: int
) -> None:
    _is_the_same_in_any_order(life, seed)


@settings(max_examples=30, deadline=None)
@given(_lives, _seeds)
def test_nor_do_they_where_runs_are_forgotten(life: dict[str, tuple[list[int], int, int]], seed: int) -> None:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(run_module, "WINDOW", 4)
        small.setattr(watch_module, "WINDOW", 4)
        small.setattr(watch_module, "_MOST_RUNS", 1)
        _is_the_same_in_any_order(life, seed)


def _is_the_same_in_any_order(life: dict[str, tuple[list[int], int, int]], seed: int) -> None:
    chance = Random(seed)
    logs = _logs(_events(life), chance)
    expected = in_order(logs, range(PARTITIONS), 1, rule=RULE)
    assert in_order(logs, range(PARTITIONS)[::-1], 5_000, rule=RULE) == expected
    assert in_order(logs, range(PARTITIONS), 17, rule=RULE) == expected
    assert anyhow(logs, chance, rule=RULE) == expected


def _open(found: set[Row]) -> dict[str, int]:
    return {row[0]: row[2] for row in found if row[1] != "resolved"}


@settings(max_examples=40, deadline=None)
@given(_lives, _seeds)
def test_what_is_missing_in_the_end_is_what_a_naive_count_says(
    life: dict[str, tuple[list[int], int, int]], seed: int
) -> None:
    # In order within a run's partitions, so that the lowest number comes first.
    chance = Random(seed)
    logs: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for one in _events(life):
        logs[chance.randrange(PARTITIONS)].append(one)
    logs = [by_time(log, reports("vault", range(60)), reports("iam", range(60))) for log in logs]
    assert _open(anyhow(logs, chance, rule=RULE)) == _naive(logs)
