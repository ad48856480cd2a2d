"""Numbers that producers gave and that never came: what is a hole, and what is said of it."""

import pytest
from numbering import BEGIN, RULE, RUN, counted, numbered, rows, run_of, ticks, told
from reporting import HOUR, by_time, others, reports
from world import NOON, World

from keytrail.schemas.records import Event
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.sequences.limits import SequenceLimits
from keytrail.stream.sequences.run import WINDOW


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


def test_a_run_counts_from_one_where_its_id_says_that_it_is_new() -> None:
    assert told(numbered([51, 52], 4)) == {}
    assert told(numbered([51, 52], 6, run_of(5)))["job"].count == 50
    assert told(numbered([51, 52], 6, run_of(-5))) == {}


def test_what_was_given_out_before_keytrail_counted_is_not_missing() -> None:
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    before = numbered([3, 9], 0) + numbered([20], 1) + numbered([30, 31, 33], 5)
    world.send(*by_time(before, others(20)), batch=100)
    assert rows(world)["job"].count == 1


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


def test_limits_are_the_policys_and_a_rule_can_be_off() -> None:
    late = numbered([1, 3], 2) + numbered([2], 6)
    assert told(late)["job"].status == "resolved"
    assert told(late, policy=Policy(sequences=SequenceLimits(late_hours=4))) == {}
    assert told(late, policy=Policy(rules=(RuleSetting(RULE, enabled=False),))) == {}
    low = Policy(rules=(RuleSetting(RULE, severity="low"),))
    assert told(numbered([1, 3]), policy=low)["job"].severity == "low"
