"""The first stage: a batch of one partition's events becomes enriched events and signals.

Knows no Kafka: the same code runs live, in tests and in a backtest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from keytrail.schemas.records import DeadLetter, Header, Micros, Signal
from keytrail.schemas.topics import EVENTS
from keytrail.stream import access
from keytrail.stream.access import Change, SubjectAccess
from keytrail.stream.enrichment import Enricher
from keytrail.stream.judging import Judge
from keytrail.stream.keys import KeyDirectory
from keytrail.stream.policy import Policy
from keytrail.stream.reading import EventReader, Readable, Unreadable
from keytrail.stream.seen import PREFIX as SEEN_PREFIX
from keytrail.stream.seen import SeenIds
from keytrail.stream.signals import SignalBook
from keytrail.stream.source import SourceRecord
from keytrail.stream.store import StateChange, StateStore

# Actions through which a subject comes to hold something; others only matter once it does.
_BEGINS = frozenset({"grant"})


@dataclass
class EventBatch:
    """A batch as read: events in order, and the records that are none."""

    readable: list[Readable] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


@dataclass(frozen=True)
class EventOutput:
    """What a batch gives: (key, value) of enriched records in order, signals, dead letters, state changes."""

    enriched: list[tuple[bytes, bytes]]
    signals: list[Signal]
    dead: list[DeadLetter]
    changes: list[StateChange]
    duplicates: int


class EventStage:
    """One partition of the events topic.  Not thread-safe; batches must come in offset order."""

    def __init__(
        self,
        partition: int,
        reader: EventReader,
        keys: KeyDirectory,
        policy: Policy,
        clock: Callable[[], Micros],
    ) -> None:
        self._partition = partition
        self._reader = reader
        self._keys = keys
        self._policy = policy
        self._clock = clock
        self._judge = Judge(policy)
        self._enricher = Enricher(partition, policy.version, clock)
        self._subjects: StateStore[SubjectAccess] = StateStore("subject", access.pack, access.unpack)
        self._seen = SeenIds()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of this partition's changelog, in its order."""
        (self._seen if key.startswith(SEEN_PREFIX) else self._subjects).restore(key, value)

    def read(self, records: Sequence[SourceRecord]) -> EventBatch:
        """Raises `UnavailableError` where a schema is needed and the registry is away; nothing is changed."""
        batch = EventBatch()
        for record in records:
            read = self._reader.read(record)
            if isinstance(read, Readable):
                batch.readable.append(read)
            else:
                batch.dead.append(self._dead_letter(record, read))
        return batch

    def process(self, batch: EventBatch) -> EventOutput:
        """Judge and enrich the batch's events; an event whose id was seen before is left out."""
        is_new = self._seen.add([read.event.event_id for read in batch.readable])
        book = SignalBook(self._policy.version)
        enriched = [
            self._process_one(read, book) for read, new in zip(batch.readable, is_new, strict=True) if new
        ]
        return EventOutput(
            enriched=enriched,
            signals=book.signals(),
            dead=batch.dead,
            changes=self._subjects.take_changes() + self._seen.take_changes(),
            duplicates=len(is_new) - len(enriched),
        )

    def _process_one(self, read: Readable, book: SignalBook) -> tuple[bytes, bytes]:
        event = read.event
        key = self._keys.at(event)
        findings = self._judge.event(event, key, book)
        whose = event.whose
        subject = self._subjects.get(whose)
        if subject is None and event.action in _BEGINS and event.outcome == "success":
            subject = SubjectAccess()
        if subject is not None and (change := subject.apply(event)) is not Change.NOTHING:
            findings += self._judge.subject(event, subject, change, book)
            self._subjects.put(whose, subject)
        return whose.encode(), self._enricher.enrich(read, key, findings)

    def _dead_letter(self, record: SourceRecord, why: Unreadable) -> DeadLetter:
        return DeadLetter(
            source_topic=EVENTS.name,
            source_partition=self._partition,
            source_offset=record.offset,
            source_timestamp=record.timestamp * 1000,
            reason=why.reason,
            detail=why.detail,
            remedy=why.remedy,
            schema_id=why.schema_id,
            key=record.key,
            value=record.value,
            headers=[Header(name, value) for name, value in record.headers],
            failed_at=self._clock(),
        )
