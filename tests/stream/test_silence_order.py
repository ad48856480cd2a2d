"""Silence is found alike whichever partition is ahead, and whatever wrong clocks say."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import PARTITIONS, anyhow, in_order
from reporting import HOUR, LATER, ahead, by_time, others, reports
from world import NOON, SECOND, event

from keytrail.schemas.records import Event

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
