"""Holes are found alike in any order, and are those that a naive count finds."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbering import RULE, SECOND
from partitions import PARTITIONS, anyhow, in_order, still_open
from reporting import HOUR, by_time, reports
from world import NOON, event

from keytrail.schemas.records import Event
from keytrail.stream.sequences import run as run_module
from keytrail.stream.sequences import watch as watch_module

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


def _is_the_same_in_any_order(life: dict[str, tuple[list[int], int, int]], seed: int) -> None:
    chance = Random(seed)
    logs = _logs(_events(life), chance)
    expected = in_order(logs, range(PARTITIONS), 1, rule=RULE)
    assert in_order(logs, range(PARTITIONS)[::-1], 5_000, rule=RULE) == expected
    assert in_order(logs, range(PARTITIONS), 17, rule=RULE) == expected
    assert anyhow(logs, chance, rule=RULE) == expected


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
    assert still_open(anyhow(logs, chance, rule=RULE)) == _naive(logs)
