"""The ledgers: what a worker has counted of a partition, written in the transaction of what it counts.

A ledger is the last record that a transaction writes to the partition of its stage's changelog, so the
newest stands at the changelog's end.  Its value is JSON; names that a reader does not know are left out.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Micros

EVENT_LEDGER = b"ledger/events"
FINDING_LEDGER = b"ledger/findings"


@dataclass(frozen=True)
class Tally:
    """How many records, and the sum (modulo 2^64) of ClickHouse's `intHash64` over their source offsets.

    Two sets of records with equal tallies are the same set, but for a chance of 2^-64.
    """

    count: int = 0
    digest: int = 0


@dataclass(frozen=True)
class EventLedger:
    """Totals of one partition of the events topic, from `first_offset` to before `next_offset`.

    `began` is before the first of them was enriched or set aside: what an earlier ledger counted, of a
    topic that was made anew since, has earlier times.  `signals` alone goes on from ledger to ledger.
    `gaps` are the latest ranges (first, end) of offsets at which no record came: transaction marks,
    or records that were not read.
    """

    began: Micros
    first_offset: int
    next_offset: int
    records: int = 0
    enriched: Tally = Tally()
    dead: Tally = Tally()
    duplicates: int = 0
    signals: int = 0
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def skipped(self) -> int:
        """Offsets at which no record came."""
        return self.next_offset - self.first_offset - self.records


@dataclass(frozen=True)
class EventHours:
    """How far in the events' time the partitions of the events topic are, in hours since 1970, UTC.

    Silence of services and reviews of break-glass uses are judged for what was before `judged`; for nothing
    (None) as long as a partition has reached no hour.  `reached` is by partition, without those.
    """

    judged: int | None = None
    reached: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class FindingLedger:
    """Totals of one partition of the signals topic: signals taken, anomaly records written.

    `hours` are in the ledger of the one partition to which all others report.
    """

    began: Micros
    signals: int = 0
    anomalies: int = 0
    hours: EventHours | None = None


Ledger = TypeVar("Ledger", EventLedger, FindingLedger)


def pack(ledger: EventLedger | FindingLedger) -> bytes:
    return json.dumps(asdict(ledger), separators=(",", ":")).encode()


def unpack_event(packed: bytes) -> EventLedger:
    """Raises `SchemaError` for what is no such ledger."""
    try:
        found = _known(EventLedger, packed)
        found["enriched"], found["dead"] = Tally(**found["enriched"]), Tally(**found["dead"])
        found["gaps"] = tuple((int(first), int(end)) for first, end in found["gaps"])
        return EventLedger(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SchemaError(f"Not an event ledger ({type(error).__name__}).") from error


def unpack_finding(packed: bytes) -> FindingLedger:
    """Raises `SchemaError` for what is no such ledger."""
    try:
        found = _known(FindingLedger, packed)
        if (hours := found.get("hours")) is not None:
            reached = tuple((int(partition), int(hour)) for partition, hour in hours["reached"])
            found["hours"] = EventHours(hours["judged"], reached)
        return FindingLedger(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SchemaError(f"Not a finding ledger ({type(error).__name__}).") from error


def _known(kind: type[Ledger], packed: bytes) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in json.loads(packed).items() if name in names}
