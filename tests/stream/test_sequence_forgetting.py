"""Runs that rest, or are too many, are forgotten; what is known of holes stays."""

from random import Random

from numbering import RULE, RUN, counted, flood, numbered, rows, run_of, ticks
from partitions import PARTITIONS, anyhow, in_order, still_open
from reporting import HOUR, by_time, others
from world import NOON, World

from keytrail.schemas.records import Attendance, NumberBlock, RunNumbers
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences.run import WINDOW
from keytrail.stream.sequences.watch import SequenceWatch


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
    assert still_open(expected) == {"desk": 1}
    assert in_order(logs, range(PARTITIONS)[::-1], 1, rule=RULE) == expected
    assert in_order(logs, range(PARTITIONS), 5_000, rule=RULE) == expected
    assert anyhow(logs, Random(1), rule=RULE) == expected


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
    assert still_open(expected) == {"job": 4}
    assert in_order(logs, range(PARTITIONS)[::-1], 100, rule=RULE) == expected


def test_many_new_runs_hide_no_hole_of_one_that_is_known() -> None:
    holed = numbered([1, 2], 4) + numbered([5], 7)
    time = others(40)
    for hour in (9, 30):
        many = flood([hour], 11_050)
        assert counted(holed, many, time)["job"].count == 2
        logs = [by_time(holed, many, time)] + [time] * (PARTITIONS - 1)
        assert still_open(in_order(logs, range(PARTITIONS), 5_000, rule=RULE)) == {"job": 2}


def test_many_runs_of_one_service_hide_nothing_of_another() -> None:
    new = numbered([4, 5], 14, run_of(12, "desk"), "desk")
    assert counted(new, flood(range(2, 20), 400), others(40))["desk"].count == 3
    # Of their own one new runs may be those that were forgotten.
    own = numbered([4, 5], 18, run_of(3))
    assert counted(own, flood(range(2, 20), 400), others(40)) == {}


def test_runs_that_are_forgotten_leave_nothing_in_memory() -> None:
    watch, version = SequenceWatch(Timeline(Policy()), partitions=1), Policy().version
    runs = [RunNumbers(f"r{place}", f"s{place}", 5, [NumberBlock(0, b"\x06")]) for place in range(50)]
    watch.take(Attendance(0, 5, [], numbers=runs, numbers_from=0), version)
    assert list(watch.judge(2 * WINDOW)) == []
    assert [value for value in vars(watch).values() if isinstance(value, dict) and value] == []
