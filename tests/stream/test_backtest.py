"""A backtest ends in the same findings however the past is cut, and says what another policy would change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import count
from zlib import crc32

import pytest
from world import DAY, NOON, SECOND, FixedRegistry, World, event, records, value_of

from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Anomaly, Event, Micros
from keytrail.stream.backtest.backtest import Backtest, Changes, Counts, PastRecord
from keytrail.stream.backtest.comparison import compare
from keytrail.stream.keys import departures
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy, SprawlLimits
from keytrail.stream.reading.source import Record

EVENTS = 4_000
STRICT = Policy(sprawl=SprawlLimits(least_roles=4, times_peers=1.2, growth_roles=2))
LATER: Micros = 1_900_000_000_000_000

Told = tuple[str, str, str, str, int, tuple[str, ...], bool]


@cache
def simulation() -> Simulation:
    return Simulation(EVENTS, seed=11)


@cache
def history() -> list[Event]:
    """With some events sent twice."""
    every = list(simulation().events())
    return [*every, *every[-50:]]


def directory() -> KeyDirectory:
    known = KeyDirectory()
    for one in list(simulation().keys()):
        known.apply(one)
    return known


def past(events: Iterable[Event], partitions: int) -> list[PastRecord]:
    offsets = [count() for _ in range(partitions)]
    found = []
    for some in events:
        partition = crc32(some.whose.encode()) % partitions
        found.append(PastRecord(partition, Record(next(offsets[partition]), value_of(some))))
    return found


def told(findings: Iterable[Anomaly]) -> set[Told]:
    """Without what depends on when it was told."""
    return {
        (a.rule, a.entity_type, a.entity, a.cause, a.count, tuple(a.evidence), a.status == "resolved")
        for a in findings
    }


@cache
def expected(policy: Policy) -> set[Told]:
    world = World(simulation().keys(), policy, clock=lambda: LATER)
    world.send(*history())
    return told(world.current().values())


def new_backtest(policy: Policy, known: KeyDirectory, partitions: int) -> Backtest:
    return Backtest(policy, known, FixedRegistry(), lambda: LATER, partitions=partitions)


def restore(backtest: Backtest, known: KeyDirectory, log: Sequence[Changes]) -> None:
    for changes in log:
        for change in changes.departures:
            known.owner_leaves(*departures.read(change.key, change.value))
        for partition, some in changes.events.items():
            for change in some:
                backtest.event_stage(partition).restore(change.key, change.value)
        for change in changes.findings:
            backtest.finding_stage.restore(change.key, change.value)


@pytest.mark.parametrize("policy", [Policy(), STRICT], ids=["usual", "strict"])
@pytest.mark.parametrize("restarted", [False, True], ids=["through", "restarted"])
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("batch", [1, 17, 5_000])
def test_the_same_findings_however_the_past_is_cut(
    batch: int, partitions: int, restarted: bool, policy: Policy
) -> None:
    backtest, records = new_backtest(policy, directory(), partitions), past(history(), partitions)
    log: list[Changes] = []
    told_before: dict[str, Anomaly] = {}
    middle = len(records) // 2
    for start in range(0, len(records), batch):
        if restarted and not told_before and start >= middle:
            told_before = {a.anomaly_id: a for a in backtest.findings()}
            backtest = new_backtest(policy, known := directory(), partitions)
            restore(backtest, known, log)
        backtest.take(records[start : start + batch])
        log.append(backtest.take_changes())
    latest = told_before | {a.anomaly_id: a for a in backtest.findings()}
    assert told(latest.values()) == expected(policy)
    if not restarted:
        assert backtest.counts.duplicates == 50


def test_another_policy_finds_something_else() -> None:
    assert expected(Policy()) != expected(STRICT)


def _anomaly(**fields: object) -> Anomaly:
    base = Anomaly(
        anomaly_id="1",
        revision=1,
        rule="role_sprawl",
        rule_version=1,
        severity="high",
        status="open",
        entity_type="subject",
        entity="alice",
        cause="platform",
        first_seen=NOON,
        last_seen=NOON,
        count=9,
        evidence=[],
        summary="",
        remedy="",
        technique=None,
        policy_version="",
        details={},
        emitted_at=NOON,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def test_a_comparison_tells_new_gone_changed_and_same() -> None:
    same, gone = _anomaly(), _anomaly(anomaly_id="2", entity="bob")
    graver, more, over = (_anomaly(anomaly_id=name, entity=f"user-{name}") for name in "345")
    elsewhere = _anomaly(anomaly_id="6", rule="unknown_key", entity_type="key", entity="pk_1", count=40)
    new = _anomaly(anomaly_id="7", first_seen=NOON + DAY, count=2)
    found = compare(
        [same, gone, graver, more, over],
        [
            replace(same, revision=7, last_seen=NOON + SECOND, status="updated"),
            replace(graver, severity="critical"),
            replace(more, count=12),
            replace(over, status="resolved"),
            elsewhere,
            new,
        ],
    )
    sprawl, unknown = found.rules
    assert (sprawl.rule, sprawl.in_force, sprawl.new, sprawl.gone) == ("role_sprawl", 5, 1, 1)
    assert (sprawl.changed, sprawl.same) == (3, 1)
    assert (unknown.rule, unknown.in_force, unknown.new) == ("unknown_key", 0, 1)
    day = date(2026, 5, 28)
    assert sprawl.by_day == {day: 4, date(2026, 5, 29): 1}
    assert unknown.by_day == {day: 1}
    assert [(one.entity_type, one.entity, one.findings, one.count) for one in found.noisiest] == [
        ("key", "pk_1", 1, 40),
        ("subject", "user-4", 1, 12),
        ("subject", "alice", 2, 11),
        ("subject", "user-3", 1, 9),
        ("subject", "user-5", 1, 9),
    ]


def test_a_record_that_is_no_event_is_counted_and_passed_over() -> None:
    backtest = Backtest(Policy(), KeyDirectory(), FixedRegistry(), lambda: NOON)
    backtest.take([PastRecord(0, Record(0, b"nonsense")), PastRecord(0, *records([event()], 1))])
    assert backtest.counts == Counts(records=2, events=1, duplicates=0, dead=1)
