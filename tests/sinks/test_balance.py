"""The balance of each stage, from both of its sides."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas.ledger import EventLedger, FindingLedger, Tally
from keytrail.sinks.balance import (
    AnomalyRows,
    Balance,
    Rows,
    measured,
    needs_measuring,
    of_anomalies,
    of_findings,
    of_rows,
    of_worker,
)

OFFSETS = st.sets(st.integers(0, 50), max_size=30)
MORE = st.lists(st.integers(0, 50), max_size=6)


def tally(offsets: list[int]) -> Tally:
    return Tally(len(offsets), sum(hash((offset, "digest")) for offset in offsets) % 2**64)


def rows_balance(written: set[int], stored: list[int], set_aside: int, on_the_way: int) -> Balance:
    """As `books` does it: searched for doubles only where that is needed."""
    rows = Rows(tally(stored), set_aside, on_the_way)
    balance = of_rows("events", "topic", 0, tally(sorted(written)), rows)
    if needs_measuring(balance, rows):
        balance = measured(balance, len(stored) - len(set(stored)))
    return balance


@given(OFFSETS, OFFSETS, OFFSETS, MORE)
def test_every_loss_and_every_double_is_counted(
    written: set[int], lost: set[int], aside: set[int], doubled: list[int]
) -> None:
    lost, aside = lost & written, (aside & written) - lost
    once = sorted(written - lost - aside)
    twice = [offset for offset in doubled if offset in once]
    balance = rows_balance(written, once + twice, len(aside), on_the_way=0)
    assert (balance.lost, balance.doubled, balance.behind) == (len(lost), len(twice), 0)
    assert balance.balanced == (not lost and not twice)


@given(OFFSETS, OFFSETS, st.integers(0, 60))
def test_what_may_still_come_is_lag(written: set[int], missing: set[int], on_the_way: int) -> None:
    missing &= written
    balance = rows_balance(written, sorted(written - missing), 0, on_the_way)
    assert balance.lost == max(0, len(missing) - on_the_way)
    assert balance.behind == min(len(missing), on_the_way)
    assert not balance.doubled


@given(OFFSETS, OFFSETS)
def test_rows_that_nobody_wrote_are_too_many(written: set[int], forged: set[int]) -> None:
    forged -= written
    balance = rows_balance(written, sorted(written | forged), 0, on_the_way=0)
    assert (balance.lost, balance.doubled) == (0, len(forged))


def test_states() -> None:
    def state(lost: int, doubled: int, behind: int) -> str:
        return Balance("events", "topic", 0, 9, 9, lost, doubled, behind).state

    assert state(0, 0, 0) == "ok"
    assert state(0, 0, 3) == "lag"
    assert state(1, 0, 3) == "LOST"
    assert state(0, 1, 0) == "DOUBLE"
    assert state(1, 1, 0) == "LOST DOUBLE"


def worker(ledger: EventLedger | None, unread: tuple[int, ...] = (), end: int = 100) -> Balance:
    return of_worker("keytrail.events", 2, ledger, unread, 0, end)


def test_a_worker_accounts_for_each_record() -> None:
    ledger = EventLedger(1, 0, 100, 97, Tally(90), Tally(4), 3, gaps=((5, 8),))
    assert worker(ledger).state == "ok"
    assert worker(ledger).parts == {"enriched": 90, "dead_letters": 4, "duplicates": 3, "gaps": 3}
    assert worker(ledger, end=120).behind == 20
    assert worker(EventLedger(1, 0, 100, 98, Tally(90), Tally(4), 3)).lost == 1
    assert worker(EventLedger(1, 0, 100, 97, Tally(91), Tally(4), 3)).doubled == 1
    assert worker(EventLedger(1, 0, 100, 101, Tally(94), Tally(4), 3)).doubled == 1


def test_a_record_in_a_gap_was_passed_over() -> None:
    balance = worker(EventLedger(1, 0, 100, 97, Tally(90), Tally(4), 3, gaps=((5, 8),)), unread=(5, 7))
    assert (balance.lost, balance.lost_at) == (2, ["keytrail.events/2/5", "keytrail.events/2/7"])


def test_a_partition_without_a_ledger_is_behind() -> None:
    assert worker(None, end=0).state == "ok"
    assert (worker(None).state, worker(None).behind) == ("lag", 100)


COUNTS = st.integers(0, 40)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_signals_balance_between_two_counts(before: int, more: int, taken: int, unread: int) -> None:
    after = before + more
    balance = of_findings("signals", before, taken, 0, after, unread)
    assert balance.balanced == (before - unread <= taken <= after)
    assert balance.lost - balance.doubled + balance.behind == max(0, before - taken) - max(0, taken - after)
    if balance.state == "ok":
        assert balance.expected == balance.found


@given(st.lists(st.integers(1, 5), max_size=8), st.integers(0, 3), MORE, MORE)
def test_anomalies_lost_and_doubled(
    highest: list[int], more: int, lost: list[int], doubled: list[int]
) -> None:
    """Findings with so many revisions each; some revisions lost, some stored more than once."""
    written = [(finding, r) for finding, top in enumerate(highest) for r in range(1, top + 1)]
    gone = {written[i % len(written)] for i in lost if written}
    stored = [each for each in written if each not in gone]
    stored += [stored[i % len(stored)] for i in doubled if stored]
    by_finding: dict[int, set[int]] = {}
    for finding, revision in stored:
        by_finding.setdefault(finding, set()).add(revision)
    holes = sum(max(known) - min(known) + 1 - len(known) for known in by_finding.values())
    twice = sum(count - 1 for count in Counter(stored).values())
    rows = AnomalyRows(len(stored), twice, holes, 0, on_the_way=0)
    before, after = FindingLedger(0, 0, len(written)), FindingLedger(0, 0, len(written) + more)
    balance = of_anomalies("anomalies", before, rows, after)
    assert (balance.lost, balance.doubled) == (len(gone), twice)


def test_a_hole_among_a_findings_revisions_is_a_loss_though_others_are_on_their_way() -> None:
    rows = AnomalyRows(rows=8, doubled=0, holes=1, set_aside=0, on_the_way=50)
    balance = of_anomalies("anomalies", FindingLedger(0, 0, 10), rows, FindingLedger(0, 0, 10))
    assert (balance.lost, balance.behind, balance.state) == (1, 2, "LOST")
