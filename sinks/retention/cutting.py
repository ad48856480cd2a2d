"""Removing what is kept long enough: what is due, and carrying a cut out in steps that can be repeated.

1. Where the rows stood, and their hashes, are written to `cut_rows`.
2. The cut is told as an event, with their digest; it is waited for until it is a row, and signed if anything
   is.
3. The rows are removed.

Killed before 2, nothing was removed, and `sweep` takes away what 1 wrote, a day later: until then somebody
may be about to tell it.  Killed in 2, the event may be on its way still (`has_untold`): who goes on waits for
it, or would tell of the same rows twice.  Killed before or in 3, `finish` goes on.  What came under a hold
meanwhile stays.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.http import ClickHouse, text, whole
from keytrail.sinks.clickhouse.mutations import await_mutations
from keytrail.sinks.proof.checkpoint import Log
from keytrail.sinks.proof.leaf_sql import LEAF_HASH, WITH
from keytrail.sinks.retention.access import NEEDED
from keytrail.sinks.retention.classes import RetentionClass, conditions
from keytrail.sinks.retention.cuts import CUT, digest_of, recorded_cuts, true_cuts
from keytrail.sinks.retention.holds import PLAIN, held, read_holds

_DAY = 24 * 3600 * 1_000_000
_TIMEOUT_S = 3_600.0
_POLL_S = 0.1
# By a partition's newest block the sink knows how far it is.
_SETTLED = (
    "(kafka_incarnation, kafka_partition, kafka_block) NOT IN"
    " (SELECT kafka_incarnation, kafka_partition, max(kafka_block) FROM events GROUP BY ALL)"
)
# A service whose clock is wrong may date a new event years back; the worker's clock knows when it came.
_AGE = "greatest(occurred_at, enriched_at)"
_PLACE = "(kafka_incarnation, kafka_partition, kafka_offset)"
_COPIED = (
    "kafka_incarnation, kafka_partition, kafka_offset, source_partition, source_offset, enriched_at,"
    " recorded_at, producer_id, sequence"
)
_DUE = (
    "SELECT count() AS every, countIf({old} AND {settled} AND NOT ({keep} OR {needed})) AS due,"
    " countIf({old} AND ({keep})) AS kept FROM events WHERE {rows}"
)
_PREPARE = (
    "INSERT INTO cut_rows (cut_id, {copied}, leaf) {constants} SELECT toUUID({cut_id}), {copied}, {leaf}"
    " FROM events WHERE {rows}"
)
_OF_CUTS = "{place} IN (SELECT {place} FROM cut_rows WHERE toString(cut_id) IN ({cuts})) AND NOT ({keep})"
_SIGNED = (
    "SELECT toString(kafka_incarnation) AS incarnation, kafka_partition, max(before) AS before"
    " FROM checkpoints GROUP BY kafka_incarnation, kafka_partition"
)
_WRITTEN_DOWN = "SELECT DISTINCT toString(cut_id) AS cut_id FROM cut_rows"
_COUNT = "SELECT count() AS n FROM {table} WHERE {rows}"
_DELETE = (
    "ALTER TABLE {table} DELETE WHERE {rows}"
    " SETTINGS mutations_sync = 0, allow_nondeterministic_mutations = 1"
)


@dataclass(frozen=True)
class Due:
    """Rows of a class: those that happened and came before `before` are due, but for `held` ones.

    What says who holds a role now (`NEEDED`) is neither due nor held.
    """

    kept: RetentionClass
    before: Micros
    condition: str
    rows: int
    due: int
    held: int


@dataclass(frozen=True)
class Prepared:
    """A cut that is to be told: its event's attributes are what `attributes` says."""

    due: Due
    cut_id: str
    rows: int
    digest: str

    @property
    def attributes(self) -> dict[str, str]:
        return {
            f"{PLAIN}cut_id": self.cut_id,
            f"{PLAIN}class": self.due.kept.name,
            f"{PLAIN}before": str(self.due.before),
            f"{PLAIN}rows": str(self.rows),
            f"{PLAIN}digest": self.digest,
        }


class Cutting:
    """Not thread-safe.  Methods raise `UnavailableError` and `RefusedError`."""

    def __init__(self, clickhouse: ClickHouse, database: str, clock: Callable[[], Micros]) -> None:
        self._clickhouse = clickhouse
        self._database = database
        self._clock = clock

    def due(self, classes: Sequence[RetentionClass]) -> list[Due]:
        """For each class what is there, and what of it may go."""
        found = []
        keep = held(read_holds(self._clickhouse))
        for each, condition in zip(classes, conditions(classes), strict=True):
            before = Micros(self._clock() - each.keep_days * _DAY)
            old = f"{_AGE} < fromUnixTimestamp64Micro({before})"
            [row] = self._clickhouse.rows(
                _DUE.format(old=old, settled=_SETTLED, keep=keep, needed=NEEDED, rows=condition),
                timeout_s=_TIMEOUT_S,
            )
            due = f"{condition} AND {old} AND {_SETTLED} AND NOT ({keep} OR {NEEDED})"
            counts = (whole(row, name) for name in ("every", "due", "kept"))
            found.append(Due(each, before, due, *counts))
        return found

    def prepare(self, due: Due, cut_id: str) -> Prepared:
        """Writes down where the rows stand; nothing is removed.  `cut_id`: a UUID of version 7."""
        self._clickhouse.run(
            _PREPARE.format(
                copied=_COPIED, constants=WITH, cut_id=text(cut_id), leaf=LEAF_HASH, rows=due.condition
            ),
            timeout_s=_TIMEOUT_S,
        )
        [row] = self._clickhouse.rows(
            "SELECT count() AS n FROM cut_rows WHERE cut_id = {id:UUID}", params={"id": cut_id}
        )
        return Prepared(due, cut_id, whole(row, "n"), digest_of(self._clickhouse, cut_id))

    def await_told(self, cut_id: str, patience_s: float) -> None:
        """Returns when the cut's event is a row, and a checkpoint covers it if there are any.

        Raises `UnavailableError` where that does not come.
        """
        deadline = time.monotonic() + patience_s
        while cut_id not in self._told():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"The event `{CUT}` of {cut_id} was not stored and signed; nothing was removed yet.",
                    "See with `keytrail status` that worker, sink and notary run, and apply again.",
                )
            time.sleep(_POLL_S)

    def _told(self) -> list[str]:
        """The cuts whose events are rows, and signed if anything is."""
        before = {
            Log(str(row["incarnation"]), whole(row, "kafka_partition")): whole(row, "before")
            for row in self._clickhouse.rows(_SIGNED)
        }
        return [cut.cut_id for cut in recorded_cuts(self._clickhouse) if not before or cut.is_signed(before)]

    def has_untold(self) -> bool:
        """Whether rows are written down for a cut that is no row yet: killed, on its way, or about to be."""
        told = {cut.cut_id for cut in recorded_cuts(self._clickhouse)}
        return any(row["cut_id"] not in told for row in self._clickhouse.rows(_WRITTEN_DOWN))

    def unfinished(self) -> list[str]:
        """The cuts whose events no checkpoint covers yet, and whose rows still stand, but for held ones."""
        told = self._told()
        open_cuts = [cut.cut_id for cut in recorded_cuts(self._clickhouse) if cut.cut_id not in told]
        keep = held(read_holds(self._clickhouse)) if open_cuts else ""
        return [cut_id for cut_id in open_cuts if self._count("events", _rows_of([cut_id], keep))]

    def finish(self) -> list[str]:
        """Removes the rows of every cut that was told, but for those that are held now.

        Gives the ids of cuts that were told of other rows than `cut_rows` has: of these nothing is removed.
        """
        true, told = true_cuts(self._clickhouse), self._told()
        if due := [cut_id for cut_id in true if cut_id in told]:
            keep = held(read_holds(self._clickhouse))
            self._delete("events", _rows_of(due, keep))
        return [cut.cut_id for cut in recorded_cuts(self._clickhouse) if cut.cut_id not in true]

    def sweep(self) -> None:
        """Takes away what was written down, more than a day ago, for cuts that were never told."""
        told = [cut.cut_id for cut in recorded_cuts(self._clickhouse)]
        old = f"UUIDv7ToDateTime(cut_id) < fromUnixTimestamp64Micro({self._clock() - _DAY})"
        self._delete("cut_rows", f"{old} AND toString(cut_id) NOT IN ({_listed(told)})" if told else old)

    def _delete(self, table: str, condition: str) -> None:
        if self._count(table, condition):
            self._clickhouse.run(_DELETE.format(table=table, rows=condition), timeout_s=_TIMEOUT_S)
            await_mutations(self._clickhouse, self._database, table)

    def _count(self, table: str, condition: str) -> int:
        [row] = self._clickhouse.rows(_COUNT.format(table=table, rows=condition), timeout_s=_TIMEOUT_S)
        return whole(row, "n")


def _rows_of(cut_ids: Sequence[str], keep: str) -> str:
    return _OF_CUTS.format(place=_PLACE, cuts=_listed(cut_ids), keep=keep)


def _listed(cut_ids: Sequence[str]) -> str:
    return ", ".join(map(text, cut_ids))
