"""Do the books balance?  Each stage's answer as a function of what was counted on both of its sides.

Pure: `books` counts, and says in which order, so that what is compared belongs to one moment.  What is
still on its way is lag and no error, so a loss among it shows once it should have arrived.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keytrail.schemas.ledger import EventLedger, FindingLedger, Tally

LOST, DOUBLE, LAG, OK = "LOST", "DOUBLE", "lag", "ok"


@dataclass(frozen=True)
class Balance:
    """One stage's books, of one partition of `topic` or of all (None).

    `expected` records should have come through and `found` have; `behind` are still on their way: records,
    or offsets where only those are known.  `parts` says what the counts are made of.  Places are written
    topic/partition/offset; of many, the first few.
    """

    stage: str
    topic: str
    partition: int | None
    expected: int
    found: int
    lost: int = 0
    doubled: int = 0
    behind: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    lost_at: Sequence[str] = ()
    doubled_at: Sequence[str] = ()

    @property
    def balanced(self) -> bool:
        return not self.lost and not self.doubled

    @property
    def state(self) -> str:
        """`LOST`, `DOUBLE`, both, `lag` or `ok`."""
        wrong = [name for name, count in ((LOST, self.lost), (DOUBLE, self.doubled)) if count]
        return " ".join(wrong) or (LAG if self.behind else OK)


def of_worker(
    topic: str, partition: int, ledger: EventLedger | None, unread: Sequence[int], begin: int, end: int
) -> Balance:
    """Records read = enriched + dead letters + duplicates left out, and no record was passed over.

    `unread` are the offsets of records that stand in the ledger's gaps; the topic holds `begin` to `end`.
    """
    if ledger is None:
        return Balance("worker", topic, partition, 0, 0, behind=end - begin)
    accounted = ledger.enriched.count + ledger.dead.count + ledger.duplicates
    return Balance(
        "worker",
        topic,
        partition,
        expected=ledger.records + len(unread),
        found=accounted,
        lost=max(0, ledger.records - accounted) + len(unread),
        # More records than offsets: some were read twice.
        doubled=max(0, accounted - ledger.records, -ledger.skipped),
        behind=max(0, end - max(ledger.next_offset, begin)),
        parts={
            "enriched": ledger.enriched.count,
            "dead_letters": ledger.dead.count,
            "duplicates": ledger.duplicates,
            "gaps": ledger.skipped,
        },
        lost_at=[f"{topic}/{partition}/{offset}" for offset in unread],
    )


@dataclass(frozen=True)
class Rows:
    """What a table holds of what a ledger counted.

    `set_aside` records have no row, but a dead letter that says why.  `on_the_way` bounds the records that
    the sink may not have stored yet: offsets between where it is and what the ledger covers.
    """

    tally: Tally
    set_aside: int
    on_the_way: int


def of_rows(stage: str, topic: str, partition: int, written: Tally, rows: Rows) -> Balance:
    """Records written = rows + records set aside.

    Equal counts with unequal digests mean at least one lost and one doubled; `measured` tells how many.
    """
    missing = written.count - rows.tally.count - rows.set_aside
    behind = min(max(0, missing), rows.on_the_way)
    swapped = int(missing == 0 and not rows.set_aside and written.digest != rows.tally.digest)
    return Balance(
        stage,
        topic,
        partition,
        expected=written.count,
        found=rows.tally.count + rows.set_aside,
        lost=max(0, missing - behind) + swapped,
        doubled=max(0, -missing) + swapped,
        behind=behind,
        parts={"rows": rows.tally.count, "set_aside": rows.set_aside},
    )


def needs_measuring(balance: Balance, rows: Rows) -> bool:
    """Whether the table must be searched for doubles: a difference, or a digest that can't be compared."""
    return not balance.balanced or (rows.set_aside > 0 and not balance.behind)


def measured(balance: Balance, doubled: int) -> Balance:
    """A table's balance with `doubled` rows known to be too many: each hides a loss, or is one too many."""
    missing = balance.expected - balance.found - balance.behind + doubled
    return replace(balance, lost=max(0, missing), doubled=doubled + max(0, -missing))


def of_findings(topic: str, before: int, taken: int, dead: int, after: int, unread: int) -> Balance:
    """Signals written = signals taken + dead letters of the signals topic.

    Signals written were counted before and after those taken; `unread` bounds what waits in the topic.
    """
    found = taken + dead
    missing = max(0, before - found)
    behind = min(missing, unread)
    return Balance(
        "findings",
        topic,
        None,
        expected=_between(before, found, after),
        found=found,
        lost=missing - behind,
        doubled=max(0, found - after),
        behind=behind,
        parts={"taken": taken, "dead_letters": dead},
    )


@dataclass(frozen=True)
class AnomalyRows:
    """The table of anomalies, of all partitions: a finding's revisions count up from 1 without holes.

    `rows` counts them all, `doubled` those beyond the first of a revision, `holes` the revisions that are
    missing below a finding's highest.  For `set_aside` and `on_the_way` see `Rows`.
    """

    rows: int
    doubled: int
    holes: int
    set_aside: int
    on_the_way: int


def of_anomalies(topic: str, before: FindingLedger, rows: AnomalyRows, after: FindingLedger) -> Balance:
    """Anomaly records written = rows + records set aside; written ones were counted before and after rows."""
    distinct = rows.rows - rows.doubled + rows.set_aside
    missing = max(0, before.anomalies - distinct)
    behind = min(missing, rows.on_the_way)
    return Balance(
        "anomalies",
        topic,
        None,
        expected=_between(before.anomalies, distinct, after.anomalies),
        found=rows.rows + rows.set_aside,
        lost=max(missing - behind, rows.holes - rows.set_aside),
        doubled=rows.doubled + max(0, distinct - after.anomalies),
        behind=behind,
        parts={"rows": rows.rows, "set_aside": rows.set_aside},
    )


def _between(before: int, found: int, after: int) -> int:
    """What was to be expected when `found` was counted, as far as it is known."""
    return max(before, min(found, after))
