"""The alarm over a partition of which too much is dead."""

from hypothesis import given
from hypothesis import strategies as st

from keytrail.stream.stages.dead_share import Alarm, DeadShare, ShareRule

TORN = "torn_datum"


def test_half_of_a_hundred_is_no_alarm_and_one_more_is() -> None:
    share = DeadShare()
    assert share.add(100, {TORN: 50}) is None
    assert share.add(1, {TORN: 1}) == Alarm(True, 51, 101, TORN)


def test_fewer_than_the_least_say_nothing_yet() -> None:
    share = DeadShare()
    assert share.add(99, {TORN: 99}) is None
    assert share.add(1, {}) == Alarm(True, 99, 100, TORN)


def test_it_is_told_once_and_once_when_it_is_over() -> None:
    share = DeadShare()
    told = [share.add(100, {TORN: 90}) for _ in range(20)]
    assert [alarm for alarm in told if alarm] == [Alarm(True, 90, 100, TORN)]
    told = [share.add(100, {}) for _ in range(30)]
    assert [alarm for alarm in told if alarm] == [Alarm(False, 180, 1000, TORN)]


def test_a_share_between_the_two_thresholds_tells_nothing_new() -> None:
    share = DeadShare()
    for dead in (60, 40, 55, 30, 70, 45):
        share.add(1000, {TORN: dead * 10})
    assert share.add(1000, {TORN: 400}) is None
    assert share.add(1000, {TORN: 250}) == Alarm(False, 250, 1000, TORN)
    assert share.add(1000, {TORN: 400}) is None


def test_the_commonest_reason_of_the_window_is_named() -> None:
    share = DeadShare(ShareRule(window=100))
    share.add(100, {"null_value": 40})
    assert share.add(100, {"bad_magic": 30, TORN: 31}) == Alarm(True, 61, 100, TORN)
    assert share.add(100, {}) == Alarm(False, 0, 100, "")


def test_a_quiet_partition_has_no_alarm() -> None:
    share = DeadShare()
    assert share.add(0, {}) is None
    assert DeadShare(ShareRule(least=0)).add(0, {}) is None


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=60))
def test_beginnings_and_ends_alternate_and_the_window_holds_what_is_latest(
    batches: list[tuple[int, int]],
) -> None:
    rule = ShareRule()
    share = DeadShare(rule)
    begun = False
    past: list[tuple[int, int]] = []
    for records, part in batches:
        dead = min(records, part)
        alarm = share.add(records, {TORN: dead} if dead else {})
        past.append((records, dead))
        latest = _latest(past, rule.window)
        if alarm:
            assert alarm.begun is not begun
            begun = alarm.begun
            assert (alarm.records, alarm.dead) == latest
        total, dead_total = latest
        if begun:
            assert dead_total > rule.ends * total
        else:
            assert total < rule.least or dead_total <= rule.begins * total


def _latest(past: list[tuple[int, int]], window: int) -> tuple[int, int]:
    total = dead_total = 0
    for records, dead in reversed(past):
        if total >= window:
            break
        total, dead_total = total + records, dead_total + dead
    return total, dead_total
