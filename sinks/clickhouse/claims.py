"""Who may insert a partition's rows, and what of it is stored: asked of ClickHouse itself.

A claim makes this run of this sink the only one that may insert a partition:

1. A row with a higher epoch goes into `sink_claims`.  Every INSERT of the sink carries a guard that
   compares the highest claim with its own while ClickHouse begins to run it, so an insert of an earlier
   claim that begins from now on, however long it was under way, is refused.
2. What began before is on the list of running statements.  It is told to stop, and waited for.
3. Only then is it read what is stored.  It does not change any more but by this claim's inserts.

No clock takes part.  The list is one server's: all sinks talk to the same one, or through an address
that leads to one at a time.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from keytrail.schemas.errors import UnavailableError
from keytrail.sinks.clickhouse.http import ClickHouse, whole

_SETTLE_TIMEOUT_S = 60.0
_SETTLE_POLL_S = 0.05
_RUNNING = (
    "SELECT count() AS running FROM system.processes WHERE Settings['log_comment'] IN {tags:Array(String)}"
)
_STOP = "KILL QUERY WHERE Settings['log_comment'] IN {tags:Array(String)} ASYNC"

# A condition on an INSERT: it lets the rows through while the claim is the highest, and else throws.
GUARD = (
    "NOT throwIf((SELECT max((epoch, owner)) FROM sink_claims "
    "WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition = {partition:Int32}) "
    "!= ({epoch:Int64}, {owner:UUID}), 'a higher claim was made')"
)


@dataclass(frozen=True)
class Claim:
    """The right to insert one partition of one incarnation of a topic, until a higher claim is made.

    `owner` tells claims with the same epoch apart.
    """

    incarnation: str
    partition: int
    epoch: int
    owner: str

    @property
    def params(self) -> Mapping[str, str | int]:
        """The values for `GUARD`."""
        return {
            "incarnation": self.incarnation,
            "partition": self.partition,
            "epoch": self.epoch,
            "owner": self.owner,
        }

    @property
    def tag(self) -> str:
        """What the inserts of any claim on this partition are called on the list of running statements."""
        return f"keytrail-sink/{self.incarnation}/{self.partition}"


@dataclass(frozen=True)
class Stored:
    """What the table holds at the end of a partition.

    `block` is where the newest insert began: everything before it is stored or set aside, of what is
    at or behind it the `offsets` are stored, since an insert may be cut off between two months' parts.
    """

    block: int
    offsets: frozenset[int]


class Claims:
    """Claims and their partitions' state, in the database that `clickhouse` looks names up in.  Thread-safe.

    Methods raise `UnavailableError` (no answer) and `RefusedError`; each may be called again.
    """

    def __init__(
        self, clickhouse: ClickHouse, new_owner: Callable[[], uuid.UUID], wait: Callable[[float], None]
    ) -> None:
        """`wait` sleeps for so many seconds; what it raises is raised."""
        self._clickhouse = clickhouse
        self._new_owner = new_owner
        self._wait = wait

    def claim(self, incarnation: str, partitions: Sequence[int]) -> dict[int, Claim]:
        """Claims by partition; when it returns, no insert of an earlier claim runs or can begin."""
        epochs = self._epochs(incarnation, partitions)
        owner = str(self._new_owner())
        claims = {p: Claim(incarnation, p, epochs.get(p, 0) + 1, owner) for p in partitions}
        rows = (f"{incarnation}\t{p}\t{claim.epoch}\t{claim.owner}\n" for p, claim in claims.items())
        self._clickhouse.run(
            "INSERT INTO sink_claims (kafka_incarnation, kafka_partition, epoch, owner) "
            "SETTINGS async_insert = 0 FORMAT TSV",
            data=["".join(rows).encode()],
        )
        self._stop_earlier([claim.tag for claim in claims.values()])
        return claims

    def newest_blocks(self, table: str, incarnation: str, partitions: Sequence[int]) -> dict[int, int]:
        """Where each partition's newest insert began; one without rows is left out."""
        rows = self._clickhouse.rows(
            "SELECT kafka_partition, max(kafka_block) AS block FROM {table:Identifier} "
            "WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition IN {partitions:Array(Int32)} "
            "GROUP BY kafka_incarnation, kafka_partition",
            params={"table": table, "incarnation": incarnation, "partitions": partitions},
        )
        return {whole(row, "kafka_partition"): whole(row, "block") for row in rows}

    def offsets(self, table: str, claim: Claim, first: int) -> frozenset[int]:
        """The offsets of the claim's partition that are stored, from `first` on."""
        rows = self._clickhouse.run(
            "SELECT kafka_offset FROM {table:Identifier} WHERE kafka_offset >= {first:Int64} "
            "AND kafka_partition = {partition:Int32} AND kafka_incarnation = {incarnation:UUID} FORMAT TSV",
            params={
                "table": table,
                "first": first,
                "partition": claim.partition,
                "incarnation": claim.incarnation,
            },
        )
        return frozenset(map(int, rows.split()))

    def _epochs(self, incarnation: str, partitions: Sequence[int]) -> dict[int, int]:
        rows = self._clickhouse.rows(
            "SELECT kafka_partition, max(epoch) AS epoch FROM sink_claims "
            "WHERE kafka_incarnation = {incarnation:UUID} AND kafka_partition IN {partitions:Array(Int32)} "
            "GROUP BY kafka_partition",
            params={"incarnation": incarnation, "partitions": partitions},
        )
        return {whole(row, "kafka_partition"): whole(row, "epoch") for row in rows}

    def _stop_earlier(self, tags: Sequence[str]) -> None:
        deadline = monotonic() + _SETTLE_TIMEOUT_S
        asked = False
        while whole(self._clickhouse.rows(_RUNNING, params={"tags": tags})[0], "running"):
            if not asked:
                self._clickhouse.run(_STOP, params={"tags": tags})
                asked = True
            if monotonic() > deadline:
                raise UnavailableError(
                    f"An earlier insert still runs in ClickHouse after {_SETTLE_TIMEOUT_S:.0f} s.",
                    "Look for it in system.processes.",
                )
            self._wait(_SETTLE_POLL_S)
