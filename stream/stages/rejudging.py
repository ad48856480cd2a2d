"""Judging uses of a key anew, once more is known of the key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keytrail.schemas.records import Key, Micros, Occurrence, Signal
from keytrail.stream.custom.rule import rule_of
from keytrail.stream.detections import unknown_key
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.findings.signals import SignalBook, capped
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.reading.reading import Readable
from keytrail.stream.stages.grants import KeyGrants
from keytrail.stream.stages.judging import Judge
from keytrail.stream.stages.store import StateChange
from keytrail.stream.stages.uses import Cause, KeyUses, Uses

_AT_ONCE = 2_000
_OVER = "It no longer holds."


@dataclass(frozen=True)
class Due:
    """Names of keys, and the offsets of their uses, which rise: what is to be judged anew.

    `departures` are records of owners who turned out to have left.
    """

    names: tuple[str, ...]
    offsets: tuple[int, ...]
    departures: tuple[StateChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.departures)


class Rejudge:
    """Keeps track of which keys have changed, of those that were used in one partition.  Not thread-safe.

    `judge_at` gives the judge of the policy that counts at an offset.
    """

    def __init__(
        self, keys: KeyDirectory, judge_at: Callable[[int], Judge], uses: KeyUses, grants: KeyGrants
    ) -> None:
        self._keys = keys
        self._judge_at = judge_at
        self._uses = uses
        self._grants = grants
        self._mark: int | None = None
        self._due: dict[str, None] = {}

    def due(self) -> Due:
        """Some of the keys whose uses were judged by another record than the latest; none when done."""
        if self._mark is None:
            # What was judged in an earlier run may have been overtaken since.
            self._mark = self._keys.mark
            changed = list(self._uses)
        else:
            changed, self._mark = self._keys.changed_since(self._mark)
        self._due.update(dict.fromkeys(self._uses.among(changed)))
        names: list[str] = []
        offsets: set[int] = set()
        for name in list(self._due):
            uses = self._uses.peek(name)
            if uses is None or uses.judged_by == self._keys.record_name(name):
                # By an earlier run, which may have waited for the key's end; word of it may have come late.
                self._grants.look_again(name)
                del self._due[name]
                continue
            names.append(name)
            offsets.update(offset for _, offset in uses.places)
            if len(names) == _AT_ONCE:
                break
        return Due(tuple(names), tuple(sorted(offsets)))

    def judge(self, names: Sequence[str], reads: Mapping[int, Readable], now: Micros) -> list[Signal]:
        """What changes for these keys, which were due; `reads` are the events of their uses by offset.

        A use whose event is not there stays what it was found to be.
        """
        signals: list[Signal] = []
        for name in names:
            uses = self._uses.get(name)
            if uses is None:
                continue
            # Before the events are judged: what changes meanwhile makes the key due again.
            key, judged_by = self._keys.find(name), self._keys.record_name(name)
            books: dict[str, SignalBook] = {}
            version = ""
            for _, offset in uses.places:
                judge = self._judge_at(offset)
                version = judge.policy_version
                book = books.setdefault(version, SignalBook(version))
                if (read := reads.get(offset)) is not None:
                    self._judge_one(read, uses, judge, book)
                if offset == uses.places[-1][1]:
                    self._grants.judge_key(name, judge, book)
            signals += [signal for book in books.values() for signal in book.signals()]
            signals += _take_back(uses, key, now, version)
            uses.judged_by = judged_by
            self._uses.put(name, uses)
        return signals

    def _judge_one(self, read: Readable, uses: Uses, judge: Judge, book: SignalBook) -> None:
        event = read.event
        verdicts = judge.by_key(event, self._keys.at(event), read.signed)
        causes = tuple(cause_of(verdict) for verdict in verdicts)
        before = uses.causes.pop(read.offset, ())
        if causes:
            uses.causes[read.offset] = causes
        for cause in before:
            if cause not in causes:
                book.add(_withdrawn(cause), event)
        for verdict, cause in zip(verdicts, causes, strict=True):
            if cause not in before:
                book.add(verdict, event)


def cause_of(verdict: Verdict) -> Cause:
    """The finding that a verdict counts for."""
    return Cause(verdict.rule.name, verdict.entity_type, capped(verdict.entity), capped(verdict.cause))


def _withdrawn(cause: Cause) -> Verdict:
    return Verdict(
        rule_of(cause.rule),
        cause.entity_type,
        cause.entity,
        cause.cause,
        _OVER,
        "",
        holds=False,
    )


def _take_back(uses: Uses, key: Key | None, now: Micros, policy_version: str) -> list[Signal]:
    """A key that is registered was not unknown, however often it was used before."""
    if key is None:
        return []
    signals = []
    for cause in [cause for cause in uses.older if cause.rule == unknown_key.RULE.name]:
        count = uses.older.pop(cause)
        signals.append(
            Signal(
                rule=cause.rule,
                entity_type=cause.entity_type,
                entity=cause.entity,
                cause=cause.cause,
                holds=False,
                severity=rule_of(cause.rule).severity,
                summary=_OVER,
                remedy="",
                events=list[Occurrence](),
                count=count,
                first_seen=now,
                last_seen=now,
                details={},
                policy_version=policy_version,
            )
        )
    return signals
