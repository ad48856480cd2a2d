"""Carries a block's delivery out: the INSERT statement, the waits between tries, the claim."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.sinks.clickhouse.claims import GUARD, Claim, Claims
from keytrail.sinks.clickhouse.container import LINEAGE
from keytrail.sinks.clickhouse.delivery import Delivery, Insert, Rejected, Rows, Sift
from keytrail.sinks.clickhouse.errors import FencedError, LostAnswerError
from keytrail.sinks.clickhouse.failures import Failure, failure
from keytrail.sinks.clickhouse.http import ClickHouse, NotSentError, RefusedError, text
from keytrail.sinks.clickhouse.patience import Patience, tell
from keytrail.sinks.clickhouse.sieve import find_bad
from keytrail.sinks.clickhouse.table_columns import TableColumns

_INSERT_TIMEOUT_S = 300.0
_INSERT = Template(
    "INSERT INTO $table ($names) SETTINGS $settings "
    "SELECT $names FROM input($structure) WHERE $guard FORMAT Avro"
)
_log = logging.getLogger("keytrail.sink")


@dataclass(frozen=True)
class Block:
    """Records of one partition that are inserted together; `first` is the offset of the first of them."""

    table: str
    claim: Claim
    first: int
    groups: Sequence[Rows]


@dataclass(frozen=True)
class Delivered:
    """`rows` counts the block's rows that are stored."""

    rows: int
    rejected: Sequence[Rejected]


class Inserts:
    """Inserts blocks into their tables.  Thread-safe, one block of a partition at a time.

    `at_once` bounds the statements that run in ClickHouse at a time.
    """

    def __init__(
        self,
        clickhouse: ClickHouse,
        claims: Claims,
        columns: TableColumns,
        patience: Patience,
        *,
        at_once: int = 4,
    ) -> None:
        self._clickhouse = clickhouse
        self._claims = claims
        self._columns = columns
        self._patience = patience
        self._places = threading.BoundedSemaphore(at_once)

    def deliver(self, block: Block) -> Delivered:
        """Blocks until every row is stored or rejected, however long ClickHouse is away.

        Raises `FencedError`, `LostAnswerError`, `StoppedError`, and `RefusedError` for what trying again
        does not mend.
        """
        delivery = Delivery(block.groups)
        while step := delivery.next():
            self._patience.after(delivery.failures)
            try:
                if isinstance(step, Insert):
                    with self._places:
                        self._insert(block, step.rows)
                    delivery.stored()
                elif isinstance(step, Sift):
                    delivery.sifted(find_bad(step.rows, self._columns.of(block.table)))
                else:
                    delivery.found(self._claims.offsets(block.table, block.claim, block.first))
            except NotSentError as error:
                self._failed(block, delivery, error, sent=False)
            except UnavailableError as error:
                if isinstance(step, Insert):
                    raise LostAnswerError(error.message) from error
                self._failed(block, delivery, error, sent=True)
            except RefusedError as error:
                self._refused(block, delivery, error)
        if delivery.rejected:
            _log.warning("%s: %d rows cannot be stored", _name(block), len(delivery.rejected))
        return Delivered(delivery.stored_rows, delivery.rejected)

    def _insert(self, block: Block, rows: Rows) -> None:
        claim = block.claim
        types = self._columns.of(block.table)
        columns = [name for name in (*rows.writer.columns, *LINEAGE) if name in types]
        names = ", ".join(f"`{name}`" for name in columns)
        structure = ", ".join(f"`{name}` {types[name]}" for name in columns)
        settings = {
            "async_insert": 0,
            "input_format_null_as_default": 1,
            "insert_deduplication_token": text(_token(claim, rows)),
            "log_comment": text(claim.tag),
            # One block, one part a month, and no limit that a few odd times could run into.
            "max_insert_threads": 1,
            "max_threads": 1,
            "max_block_size": len(rows),
            "max_insert_block_size": len(rows),
            "min_insert_block_size_rows": len(rows),
            "min_insert_block_size_bytes": 0,
            "max_partitions_per_insert_block": 0,
        }
        self._clickhouse.run(
            _INSERT.substitute(
                table=block.table,
                names=names,
                settings=", ".join(f"{name} = {value}" for name, value in settings.items()),
                structure=text(structure),
                guard=GUARD,
            ),
            params=claim.params,
            data=rows.writer.wrap(
                rows.offsets,
                rows.datums,
                partition=claim.partition,
                block=block.first,
                incarnation=claim.incarnation,
            ),
            timeout_s=_INSERT_TIMEOUT_S,
        )

    def _refused(self, block: Block, delivery: Delivery, error: RefusedError) -> None:
        match failure(error):
            case Failure.LASTING:
                raise error
            case Failure.FENCED:
                raise FencedError("A higher claim was made.") from error
            case Failure.DATA:
                delivery.bad_data(error.code, error.name)
            case Failure.PASSING:
                self._failed(block, delivery, error, sent=True)

    def _failed(self, block: Block, delivery: Delivery, error: KeytrailError, *, sent: bool) -> None:
        delivery.failed(sent=sent)
        tell(_name(block), delivery.failures, error)


def _name(block: Block) -> str:
    return f"{block.table}, partition {block.claim.partition}, from offset {block.first}"


def _token(claim: Claim, rows: Rows) -> str:
    """Names these rows under this claim, so that a request which something on the way repeats counts once.

    Not across claims: where rows were deleted on purpose, the same offsets must be able to come again.
    """
    span = f"{rows.offsets[0]}-{rows.offsets[-1]}/{len(rows)}"
    return f"{claim.incarnation}/{claim.partition}/{claim.epoch}/{span}"
