"""The first stage: a batch of one partition's events becomes enriched events and signals.

Knows no Kafka: the same code runs live, in tests and in a backtest.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from keytrail.schemas.applied import is_announcement
from keytrail.schemas.ledger import EVENT_LEDGER
from keytrail.schemas.records import DeadLetter, Micros, Signal
from keytrail.schemas.topics import EVENTS
from keytrail.stream.access.access import Change, SubjectAccess
from keytrail.stream.access.access_form import pack, unpack
from keytrail.stream.conduct.tallies import Tallies
from keytrail.stream.findings.signals import SignalBook
from keytrail.stream.findings.triage import decision
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.letters import dead_letter
from keytrail.stream.reading.reading import EventReader, Readable, Unreadable
from keytrail.stream.reading.source import SourceRecord
from keytrail.stream.silence.reports import Reports
from keytrail.stream.stages.dead_share import DeadShare
from keytrail.stream.stages.enrichment import Enricher, Judged
from keytrail.stream.stages.grants import KeyGrants
from keytrail.stream.stages.judging import Judge
from keytrail.stream.stages.leavers import Leavers
from keytrail.stream.stages.ledger import EventBook, Page
from keytrail.stream.stages.rejudging import Due, Rejudge, cause_of
from keytrail.stream.stages.seen import PREFIX as SEEN_PREFIX
from keytrail.stream.stages.seen import SeenIds
from keytrail.stream.stages.store import StateChange, StateStore
from keytrail.stream.stages.uses import KeyUses
from keytrail.stream.worker.at_hand import Slot

logger = logging.getLogger(__name__)

# Actions that say what a subject holds, or no longer holds: a grant may yet come that is older than
# its end.  Others only matter once there is something.
_BEGINS = frozenset({"grant", "revoke", "delete"})
# Subjects that are kept unpacked, some 4 kB each; more would help only where a partition sees so many again
# and again.
_LIVE = 1_000


@dataclass
class EventBatch:
    """A batch as read: events in order, and the records that are none.

    `offsets` are those of all its records, and `read_at` is when reading them began.
    """

    offsets: list[int]
    read_at: Micros
    readable: list[Readable] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    @property
    def announces_policy(self) -> bool:
        """True where the policy may change within the batch, or with its end."""
        return any(is_announcement(read.event) for read in self.readable)


@dataclass(frozen=True)
class EventOutput:
    """What a batch gives: its events in stretches of one policy, signals, dead letters.

    `departures` are records of the topic that all partitions hear of.
    """

    stretches: list["Stretch"]
    signals: list[Signal]
    dead: list[DeadLetter]
    duplicates: int
    departures: list[StateChange]

    @property
    def enriched(self) -> list[tuple[bytes, bytes]]:
        """(key, value) of enriched records, in order; made when asked for, before the next batch."""
        return [made for some in self.stretches for made in some.enricher.enrich(some.events, some.at)]


class Stretch(NamedTuple):
    """Events that one policy counted for, and when they were judged."""

    events: list[Judged]
    enricher: Enricher
    at: Micros


class EventStage:
    """One partition of the events topic.  Not thread-safe; batches must come in offset order.

    Each event is judged by the policy that counts at its offset, however the batches lie.
    """

    def __init__(
        self,
        partition: int,
        reader: EventReader,
        keys: KeyDirectory,
        policies: Timeline,
        clock: Callable[[], Micros],
        at_hand: Slot,
    ) -> None:
        self._partition = partition
        self._at_hand = at_hand
        self._reader = reader
        self._keys = keys
        self._policies = policies
        self._clock = clock
        self._by_policy: dict[str, tuple[Judge, Enricher]] = {}
        self._uses = KeyUses()
        self._reports = Reports(partition)
        self._subjects: StateStore[SubjectAccess] = StateStore("subject", pack, unpack, live=_LIVE)
        self._grants = KeyGrants(keys, self._uses, self._subjects)
        self._rejudge = Rejudge(keys, self._judge_at, self._uses, self._grants)
        self._tallies = Tallies()
        self._leavers = Leavers(keys, self._subjects)
        self._seen = SeenIds()
        self._book = EventBook()
        self._dead_share = DeadShare()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of this partition's changelog, in its order."""
        if key == EVENT_LEDGER:
            self._book.restore(value)
        elif key.startswith(SEEN_PREFIX):
            self._seen.restore(key, value)
        elif key.startswith(self._uses.prefix):
            self._uses.restore(key, value)
        elif key.startswith(self._grants.prefix):
            self._grants.restore(key, value)
        elif key.startswith(self._tallies.prefixes):
            self._tallies.restore(key, value)
        elif key.startswith(self._reports.prefixes):
            self._reports.restore(key, value)
        else:
            self._subjects.restore(key, value)

    def read(self, records: Sequence[SourceRecord]) -> EventBatch:
        """Raises `UnavailableError` where a schema is needed and the registry is away; nothing is changed."""
        batch = EventBatch([record.offset for record in records], self._clock())
        for record, read in zip(records, self._reader.read_batch(records), strict=True):
            if isinstance(read, Readable):
                batch.readable.append(read)
            else:
                batch.dead.append(self._dead_letter(record, read))
        return batch

    def process(self, batch: EventBatch) -> EventOutput:
        """Judge and enrich the batch's events; an event whose id was seen before is left out."""
        self._watch(batch)
        is_new = self._seen.add([read.event.event_id for read in batch.readable])
        fresh = [read for read, new in zip(batch.readable, is_new, strict=True) if new]
        offsets = [read.offset for read in fresh]
        stretches: list[Stretch] = []
        signals: list[Signal] = []
        for policy, begin, end in self._policies.stretches(self._partition, offsets):
            stretch, some_signals = self._process_stretch(fresh[begin:end], policy)
            stretches.append(stretch)
            signals += some_signals
        self._at_hand.clear()
        duplicates = len(is_new) - len(fresh)
        self._book.enter(
            Page(
                read_at=batch.read_at,
                offsets=batch.offsets,
                enriched=offsets,
                dead=[letter.source_offset for letter in batch.dead],
                duplicates=duplicates,
                signals=len(signals),
            )
        )
        return EventOutput(stretches, signals, batch.dead, duplicates, self._leavers.take())

    def _process_stretch(self, reads: Sequence[Readable], policy: Policy) -> tuple[Stretch, list[Signal]]:
        """Events that one policy counts for, and their signals."""
        judge, enricher = self._by(policy)
        book = SignalBook(policy.version)
        decisions: list[Signal] = []
        at = self._clock()
        judged = [self._process_one(read, judge, book, decisions) for read in reads]
        if judge.judges_conduct:
            self._tallies.watch(min(read.event.occurred_at for read in reads))
        told = [*self._tallies.signals(policy.version), *self._reports.signals(policy.version)]
        return Stretch(judged, enricher, at), book.signals() + told + decisions

    def _by(self, policy: Policy) -> tuple[Judge, Enricher]:
        known = self._by_policy.get(policy.version)
        if known is None:
            known = self._by_policy[policy.version] = (
                Judge(policy),
                Enricher(self._partition, policy.version),
            )
        return known

    def _judge_at(self, offset: int) -> Judge:
        return self._by(self._policies.at(self._partition, offset))[0]

    def due(self) -> Due:
        """What is to be judged anew, since more is known of keys than when their uses came; and whose owners
        are to be told of, since more is known of keys than when they left.
        """
        return replace(self._rejudge.due(), departures=tuple(self._leavers.due()))

    def rejudge(self, due: Due, records: Sequence[SourceRecord]) -> EventOutput:
        """Judge anew what was due; `records` are those at its offsets that are still there.

        Raises `UnavailableError` as `read` does; nothing is changed then.
        """
        reads = {read.offset: read for read in self._reader.read_batch(records) if isinstance(read, Readable)}
        signals = self._rejudge.judge(due.names, reads, self._clock())
        self._book.add_signals(len(signals))
        return EventOutput([], signals, [], 0, list(due.departures))

    def take_changes(self) -> list[StateChange]:
        """What the changelog is to be told since the last call; until then what changed is kept unpacked."""
        # The ledger comes last: a check finds it at the end of the changelog.
        stores = (self._subjects, self._seen, self._uses, self._grants, self._tallies, self._reports)
        return [change for store in stores for change in store.take_changes()] + self._book.take_changes()

    def _process_one(self, read: Readable, judge: Judge, book: SignalBook, decisions: list[Signal]) -> Judged:
        self._at_hand.mark(read.offset)
        event = read.event
        at = self._reports.time_of(event, read.arrived)
        self._reports.note(event, at)
        key = self._keys.at(event)
        of_key = judge.by_key(event, key, read.signed)
        if (name := event.key_name) is not None:
            causes = tuple(cause_of(verdict) for verdict in of_key) if of_key else ()
            forgotten = self._uses.note(name, key, event.occurred_at, read.offset, causes)
            if forgotten is not None:
                self._grants.forget(forgotten)
            if event.grants_role:
                self._grants.note(name, event)
            self._grants.judge_ended(judge, book)
        if key.key is not None:
            if key.key.break_glass:
                self._reports.use(key.key.key_id, event, at)
            elif judge.watches(key):
                self._reports.use_privileged(key.key.key_id, event, at)
            if judge.judges_conduct:
                self._tallies.note(event, key.key, judge.place(event, key.key))
        findings = []
        for verdict in (*of_key, *judge.by_itself(event, key)):
            book.add(verdict, event)
            findings.append(verdict.rule.name)
        if (decided := decision(event, key, read.signed, judge.policy_version)) is not None:
            decisions.append(decided)
            self._reports.decide(decided, event, at)
        whose = event.whose
        subject = self._subjects.get(whose)
        if subject is None and event.action in _BEGINS and event.outcome == "success":
            subject = SubjectAccess()
        if subject is not None and (change := subject.apply(event)) is not Change.NOTHING:
            findings += judge.subject(event, subject, change, book)
            if event.grants_role:
                findings += self._grants.judge_grant(event, subject, judge, book)
            self._subjects.put(whose, subject)
            if change is Change.HOLDING:
                for changed in self._leavers.note(whose, subject):
                    self._grants.judge_key(changed, judge, book)
        for verdict in judge.by_access(event, key, subject):
            book.add(verdict, event)
            findings.append(verdict.rule.name)
        return Judged(read, key, tuple(findings))

    def _watch(self, batch: EventBatch) -> None:
        """Say so in the log where too much of what comes is dead, and where that is over."""
        dead = Counter(letter.reason for letter in batch.dead)
        alarm = self._dead_share.add(len(batch.offsets), dead)
        if alarm is None:
            return
        place = f"{EVENTS.name}/{self._partition}"
        if alarm.begun:
            logger.warning(
                "%s: %d of the latest %d records could not be used, most for %s. "
                "`keytrail deadletter list` shows them and what to do.",
                *(place, alarm.dead, alarm.records, alarm.reason),
            )
        else:
            logger.warning(
                "%s: records can be used again; %d of the latest %d could not.",
                *(place, alarm.dead, alarm.records),
            )

    def _dead_letter(self, record: SourceRecord, why: Unreadable) -> DeadLetter:
        return dead_letter(
            EVENTS,
            self._partition,
            record,
            reason=why.reason,
            detail=why.detail,
            remedy=why.remedy,
            schema_id=why.schema_id,
            failed_at=self._clock(),
        )
