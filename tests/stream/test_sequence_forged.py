"""Numbers, runs, tellings and times that somebody makes up: they stay small and hide nothing."""

from dataclasses import replace
from random import Random

from numbering import RUN, loss, numbered, rows, told
from reporting import HOUR, by_time, others, reports
from world import NOON, World

from keytrail.schemas import avro
from keytrail.schemas.records import Attendance, NumberBlock, RunNumbers
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences.watch import SequenceWatch


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


def test_a_clock_that_is_ahead_deceives_nobody() -> None:
    ahead = [replace(one, occurred_at=one.occurred_at + 20 * HOUR) for one in numbered([1, 2, 3, 6], 2)]
    right = numbered([1, 2, 4], 3, "desk:1", "desk")
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    came = {one.event_id: int(NOON + 2 * HOUR) for one in ahead}
    events = sorted(by_time(ahead, right, others(8)), key=lambda one: came.get(one.event_id, one.occurred_at))
    world.send(*events, batch=7, arrived=lambda one: came.get(one.event_id, one.occurred_at))
    assert {entity: one.count for entity, one in rows(world).items()} == {"job": 2, "desk": 1}
