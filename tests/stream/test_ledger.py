"""What a worker counts of its partitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import World, event, records

from keytrail.schemas import ledger as contract
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.ledger import (
    EVENT_LEDGER,
    FINDING_LEDGER,
    EventHours,
    EventLedger,
    FindingLedger,
    Tally,
)
from keytrail.stream.reading.source import Record
from keytrail.stream.stages.ledger import KEPT_GAPS, Page, advance, digest

COUNTS = st.integers(0, 2**40)
TALLIES = st.builds(Tally, COUNTS, st.integers(0, 2**64 - 1))
REACHED = st.lists(st.tuples(st.integers(0, 99), COUNTS), max_size=5).map(tuple)
HOURS = st.none() | st.builds(EventHours, st.none() | COUNTS, REACHED)
SPANS = st.lists(st.tuples(COUNTS, COUNTS), max_size=3).map(tuple)
# Batches as steps from one offset to the next.
STEPS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=8), min_size=1, max_size=12)


def offsets_of(steps: list[list[int]], first: int) -> list[list[int]]:
    batches, at = [], first - 1
    for batch in steps:
        offsets = [at := at + step for step in batch]
        batches.append(offsets)
    return batches


def page(offsets: list[int], read_at: int = 1) -> Page:
    """Every third record is dead, every fifth of the others a duplicate."""
    dead = [offset for offset in offsets if offset % 3 == 0]
    alive = [offset for offset in offsets if offset % 3]
    enriched = [offset for offset in alive if offset % 5]
    return Page(read_at, offsets, enriched, dead, len(alive) - len(enriched), signals=len(enriched))


def test_the_digest_is_clickhouses() -> None:
    assert digest([0]) == 4761183170873013810
    assert digest([1]) == 10577349846663553072
    assert digest([12345678901]) == 8803300191720213782
    assert digest(range(1000)) == 14849126599361967262
    assert digest([]) == 0


@given(STEPS, st.integers(0, 1000))
def test_totals_do_not_depend_on_the_batches(steps: list[list[int]], first: int) -> None:
    batches = offsets_of(steps, first)
    ledger = None
    for offsets in batches:
        ledger = advance(ledger, page(offsets))
    together = advance(None, page([offset for offsets in batches for offset in offsets]))
    assert ledger is not None
    assert (ledger.records, ledger.enriched, ledger.dead, ledger.duplicates, ledger.signals) == (
        together.records,
        together.enriched,
        together.dead,
        together.duplicates,
        together.signals,
    )
    assert ledger.records == ledger.enriched.count + ledger.dead.count + ledger.duplicates
    assert ledger == together


@given(STEPS, st.integers(0, 1000))
def test_gaps_are_where_no_record_came(steps: list[list[int]], first: int) -> None:
    batches = offsets_of(steps, first)
    ledger = None
    for offsets in batches:
        ledger = advance(ledger, page(offsets))
    assert ledger is not None
    came = [offset for offsets in batches for offset in offsets]
    missed = sorted(set(range(came[0], came[-1] + 1)) - set(came))
    noted = [offset for start, end in ledger.gaps for offset in range(start, end)]
    assert ledger.skipped == len(missed)
    assert noted == missed[-len(noted) :] if noted else not missed
    assert len(ledger.gaps) == KEPT_GAPS or noted == missed


def test_going_back_begins_the_books_anew_but_for_signals() -> None:
    before = advance(None, page(list(range(10)), read_at=5))
    anew = advance(before, page([0, 1, 2], read_at=9))
    assert (anew.began, anew.first_offset, anew.next_offset, anew.records) == (9, 0, 3, 3)
    assert anew.signals == before.signals + 2


@given(st.builds(EventLedger, COUNTS, COUNTS, COUNTS, COUNTS, TALLIES, TALLIES, COUNTS, COUNTS, SPANS))
def test_an_event_ledger_survives_packing(ledger: EventLedger) -> None:
    assert contract.unpack_event(contract.pack(ledger)) == ledger


@given(st.builds(FindingLedger, COUNTS, COUNTS, COUNTS, HOURS))
def test_a_finding_ledger_survives_packing(ledger: FindingLedger) -> None:
    assert contract.unpack_finding(contract.pack(ledger)) == ledger


def test_a_name_from_a_later_version_is_left_out() -> None:
    packed = contract.pack(FindingLedger(1, 2, 3)).replace(b"{", b'{"new":[1],', 1)
    assert contract.unpack_finding(packed) == FindingLedger(1, 2, 3)


@given(st.sampled_from([b"", b"[]", b"7", b"{}", b"null", b'{"enriched":5}', b"\xff"]))
def test_what_is_no_ledger_is_refused(packed: bytes) -> None:
    with pytest.raises(SchemaError):
        contract.unpack_event(packed)
    with pytest.raises(SchemaError):
        contract.unpack_finding(packed)


def test_a_stage_counts_each_record_and_goes_on_after_a_restart() -> None:
    world = World()
    events = [event() for _ in range(6)]
    some = [*records([*events, events[0], events[3]]), Record(8, None), Record(9, b"not avro")]
    world.send_records(some)
    assert world.changelog[-1][0] == EVENT_LEDGER, "last, so that a check finds it at the changelog's end"
    restarted = World()
    for key, value in world.changelog:
        restarted.events.restore(key, value)
    restarted.send_records(records([events[1], event()], start=11))
    ledger = contract.unpack_event(restarted.changelog[-1][1] or b"")
    assert (ledger.first_offset, ledger.next_offset, ledger.records) == (0, 13, 12)
    assert ledger.enriched == Tally(7, digest([0, 1, 2, 3, 4, 5, 12]))
    assert ledger.dead == Tally(2, digest([8, 9]))
    assert (ledger.duplicates, ledger.gaps) == (3, ((10, 11),))


def test_the_second_stage_counts_signals_and_anomalies() -> None:
    world = World()
    outputs = world.send(
        *[event(action="grant", role=f"admin-{n}", key_id="nobody") for n in range(8)], batch=2
    )
    world.settle()
    key, value = world.finding_changelog[-1]
    ledger = contract.unpack_finding(value or b"")
    assert key == FINDING_LEDGER
    assert ledger.signals == sum(len(output.signals) for output in outputs) > 0
    assert ledger.anomalies == len(world.anomalies) > 0
