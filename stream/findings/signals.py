"""Signals: the verdicts of a batch, drawn together by rule, entity and cause.

A burst of two thousand events against one key becomes one signal with a count.  Verdicts that
alternate (a condition begins, ends, begins) stay apart and in order.
"""

import hashlib
import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from keytrail.schemas.records import Attendance, Event, Micros, Occurrence, Signal, Tally
from keytrail.stream.detections.verdict import SEVERITIES, Verdict

ATTENDANCE = "attendance"  # stands where other signals name their rule, and their entity
# Rules over what does not come: their findings are where attendance is sent.
_BY_ATTENDANCE = frozenset(
    {"audit_silence", "break_glass_unreviewed", "dormant_privileged_key", "sequence_holes"}
)
KEEP = 5
MAX_TEXT = 600

_At = tuple[Micros, str]


def merge_occurrences(known: Iterable[Occurrence], more: Iterable[Occurrence]) -> list[Occurrence]:
    """The `KEEP` earliest and the `KEEP` latest of both, in order.

    Drawn together in any order and in any groups, the same occurrences give the same result.
    """
    return _earliest_and_latest({(o.occurred_at, o.event_id) for o in (*known, *more)})


def _earliest_and_latest(occurrences: Iterable[_At]) -> list[Occurrence]:
    every = sorted(occurrences)
    kept = every if len(every) <= 2 * KEEP else every[:KEEP] + every[-KEEP:]
    return [Occurrence(at, event_id) for at, event_id in kept]


def capped(text: str) -> str:
    """A text of at most `MAX_TEXT` characters; a longer one ends in a digest of the whole."""
    if len(text) <= MAX_TEXT:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[: MAX_TEXT - 17]}…{digest}"


@dataclass
class _Open:
    """A signal that still grows."""

    verdict: Verdict
    first: Micros
    last: Micros
    count: int = 0
    earliest: list[_At] = field(default_factory=list)
    latest: list[_At] = field(default_factory=list)


class SignalBook:
    """Collects one batch's verdicts.  Not thread-safe."""

    def __init__(self, policy_version: str) -> None:
        self._policy_version = policy_version
        self._open: dict[tuple[str, str, str], _Open] = {}
        self._signals: list[_Open] = []

    def add(self, verdict: Verdict, event: Event | Occurrence) -> None:
        name = (verdict.rule.name, verdict.entity, verdict.cause)
        signal = self._open.get(name)
        # What is not final is no count, and of what is taken back by its name the last is seen later on: each
        # one stands for itself.
        stands_alone = not verdict.is_final or (verdict.evidence and _takes_back(verdict))
        if signal is None or signal.verdict.holds != verdict.holds or stands_alone:
            signal = _Open(verdict, event.occurred_at, event.occurred_at)
            self._open[name] = signal
            self._signals.append(signal)
        elif verdict.severity != signal.verdict.severity and _rank(verdict) > _rank(signal.verdict):
            signal.verdict = replace(signal.verdict, severity=verdict.severity)
        signal.count += 1
        for occurrence in verdict.evidence or (Occurrence(event.occurred_at, event.event_id),):
            at = (occurrence.occurred_at, occurrence.event_id)
            signal.first = min(signal.first, occurrence.occurred_at)
            signal.last = max(signal.last, occurrence.occurred_at)
            _keep_least(signal.earliest, at)
            _keep_greatest(signal.latest, at)

    def signals(self) -> list[Signal]:
        """The batch's signals, in the order in which they began."""
        return [self._close(signal) for signal in self._signals]

    def _close(self, signal: _Open) -> Signal:
        events = _earliest_and_latest({*signal.earliest, *signal.latest})
        return _signal(signal.verdict, events, signal.count, signal.first, signal.last, self._policy_version)


def signal_of(verdict: Verdict, policy_version: str) -> Signal:
    """A verdict's signal by itself.  The verdict has evidence, or says `since` and `until`."""
    events = merge_occurrences(verdict.evidence, ())
    first = events[0].occurred_at if verdict.since is None else verdict.since
    last = events[-1].occurred_at if verdict.until is None else verdict.until
    return _signal(verdict, events, verdict.count, first, last, policy_version)


def _signal(
    verdict: Verdict,
    events: list[Occurrence],
    count: int,
    first_seen: Micros,
    last_seen: Micros,
    policy_version: str,
) -> Signal:
    return Signal(
        rule=verdict.rule.name,
        entity_type=verdict.entity_type,
        entity=capped(verdict.entity),
        cause=capped(verdict.cause),
        holds=verdict.holds,
        severity=verdict.severity or verdict.rule.severity,
        summary=capped(verdict.summary),
        remedy=capped(verdict.remedy),
        events=events,
        count=count,
        first_seen=first_seen,
        last_seen=last_seen,
        details={name: capped(value) for name, value in verdict.details.items()},
        policy_version=policy_version,
        profile=verdict.profile,
        holdings=list(verdict.holdings),
    )


def carrier(
    name: str,
    entity_type: str,
    entity: str,
    times: Collection[Micros],
    count: int,
    policy_version: str,
    *,
    tally: Tally | None = None,
    attendance: Attendance | None = None,
) -> Signal:
    """A signal that brings something else than a rule's word.

    `name` stands where others name their rule; `times` are those of the events behind it, at least one.
    """
    # One for nearly each hour of a key: `Signal(...)` would guard its fields against change one by one.
    signal = object.__new__(Signal)
    vars(signal).update(
        rule=name,
        entity_type=entity_type,
        entity=entity,
        cause="",
        holds=True,
        severity="",
        summary="",
        remedy="",
        events=[],
        count=count,
        first_seen=min(times),
        last_seen=max(times),
        details={},
        policy_version=policy_version,
        profile=None,
        tally=tally,
        holdings=[],
        triage=None,
        attendance=attendance,
    )
    return signal


def routing_key(signal: Signal) -> str:
    """What a signal's record is keyed by: its entity, or the team where peers or roles come together.

    What does not come has one place (`silence.watch` and those beside it).  A decision on a
    finding goes to where the finding is; one on an exception that is over, to where what it covered is.
    """
    if signal.profile is not None:
        return f"team:{signal.profile.team}"
    if signal.triage is not None:
        rule, cause = signal.rule, signal.cause
        if rule == "expired_exception":
            rule, _, cause = cause.partition(" ")
        if rule in _BY_ATTENDANCE:
            return ATTENDANCE
        team = {"role_sprawl": cause, "role_explosion": signal.entity}.get(rule)
        return signal.entity if team is None else f"team:{team}"
    return f"team:{signal.entity}" if signal.holdings else signal.entity


def _takes_back(verdict: Verdict) -> bool:
    return not verdict.holds and verdict.rule.kind == "act"


def _rank(verdict: Verdict) -> int:
    return SEVERITIES.index(verdict.severity or verdict.rule.severity)


def _keep_least(kept: list[_At], at: _At) -> None:
    kept.append(at)
    if len(kept) > 4 * KEEP:
        kept[:] = heapq.nsmallest(KEEP, kept)


def _keep_greatest(kept: list[_At], at: _At) -> None:
    kept.append(at)
    if len(kept) > 4 * KEEP:
        kept[:] = heapq.nlargest(KEEP, kept)
