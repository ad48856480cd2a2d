"""Reports: in which hours which services reported, told by one partition of the events topic.

A service is told once an hour, with the first event; what was told is remembered a while, in memory alone,
and telling it again changes nothing.  With them goes how far the partition is.  Events that come more than
`LATENESS` hours behind that are no reports: an hour that all partitions are past is complete.  Uses of
break-glass keys, by the minute, and decisions on them are told as well: they are judged by the same hours. So
is the first use of a privileged key on a day, and the number that a producer gave, however late they come.

`at` is when an event happened, and no later than it came (`time_of`): clocks that are ahead move nothing.
"""

from collections.abc import Iterator, Sequence

from keytrail.schemas.records import (
    Attendance,
    Event,
    GlassMoments,
    Micros,
    Occurrence,
    PrivilegedUse,
    Report,
    RunNumbers,
    Signal,
)
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections import break_glass_unreviewed, break_glass_use
from keytrail.stream.findings.signals import ATTENDANCE, capped, carrier
from keytrail.stream.sequences.notes import SequenceNotes
from keytrail.stream.silence import progress
from keytrail.stream.silence.progress import HOUR, MINUTE, Progress
from keytrail.stream.stages.store import StateChange, StateStore

_MOST_TOLD = 50_000
_MOST_SERVICES = 500  # of one signal: with the longest names some 1 MB
_CLOCKS_DIFFER = 1  # hour: by less, from one broker that leads a partition to the next
_MOST_USES = 1_000  # of one signal: with the longest names some 700 kB
_STATE = "here"
# The findings on which a decision is a review of a break-glass key's use.
_REVIEWED = frozenset({break_glass_use.RULE.name, break_glass_unreviewed.RULE.name})

_At = tuple[Micros, str]


class Reports:
    """Not thread-safe."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._kept: StateStore[Progress] = StateStore("progress", progress.pack, progress.unpack)
        self._told: dict[tuple[str, int], _At] = {}
        self._open: dict[str, dict[int, _At]] = {}
        self._glass: dict[str, tuple[dict[int, _At], list[_At]]] = {}
        self._days: dict[tuple[str, int], _At] = {}
        self._privileged: dict[tuple[str, int], _At] = {}
        self._numbers = SequenceNotes()
        self._told_hour = progress.NOT_YET
        self._reached: int | None = None

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        return (self._kept.prefix, self._numbers.prefix)

    def time_of(self, event: Event, arrived: Micros | None) -> Micros:
        """When the event happened: what a producer's clock says is to come has happened by the time it came.

        Where the broker's own clock has fallen far behind what it said before, the event's counts.
        """
        at = event.occurred_at
        if arrived is None or at <= arrived:
            return at
        return at if arrived // HOUR < self._progress().reached - _CLOCKS_DIFFER else arrived

    def note(self, event: Event, at: Micros) -> None:
        """The event's service is there.  Events come in the order of the partition."""
        service = capped(event.service)
        hour = at // HOUR
        place = (service, hour)
        told = self._told.get(place)
        if told is None or at < told[0] or (at == told[0] and event.event_id < told[1]):
            self._take(place, (at, event.event_id))
        reached = self._reached
        if reached is None:
            reached = self._reached = self._progress().reached
        self._numbers.note(event, hour if hour > reached else reached)

    def _take(self, place: tuple[str, int], at: _At) -> None:
        known = self._progress()
        if not known.note(*place):
            return
        self._kept.put(_STATE, known)
        self._reached = known.reached
        if known.reached != progress.NOT_YET:
            # The time of one service alone does not count here either.
            self._numbers.start(known.reached)
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[place] = at
        self._open.setdefault(place[0], {})[place[1]] = at

    def use(self, key_id: str, event: Event, at: Micros) -> None:
        """The event is a use of this break-glass key."""
        self._glass_moment(key_id, (at, event.event_id), is_review=False)

    def use_privileged(self, key_id: str, event: Event, at: Micros) -> None:
        """The event is a use of this privileged key."""
        place, use = (key_id, at // DAY), (at, event.event_id)
        told = self._days.get(place)
        if told is not None and told <= use:
            return
        if len(self._days) >= _MOST_TOLD:
            self._days.clear()
        self._days[place] = self._privileged[place] = use

    def decide(self, decided: Signal, event: Event, at: Micros) -> None:
        """The event is a decision on a finding; on one of a break-glass key it is a review."""
        if decided.rule in _REVIEWED:
            self._glass_moment(decided.entity, (at, event.event_id), is_review=True)

    def _glass_moment(self, key_id: str, at: _At, *, is_review: bool) -> None:
        if not self._progress().is_in_time(at[0] // HOUR):
            return
        uses, reviews = self._glass.setdefault(key_id, ({}, []))
        if is_review:
            reviews.append(at)
        else:
            minute = at[0] // MINUTE
            uses[minute] = min(at, uses.get(minute, at))

    def _take_glass(self) -> list[GlassMoments]:
        glass = [
            GlassMoments(
                capped(key_id),
                [Occurrence(*at) for at in uses.values()],
                [Occurrence(*at) for at in reviews],
            )
            for key_id, (uses, reviews) in self._glass.items()
        ]
        self._glass.clear()
        return glass

    def _take_privileged(self) -> Iterator[list[PrivilegedUse]]:
        uses = [PrivilegedUse(capped(key_id), *at) for (key_id, _), at in self._privileged.items()]
        self._privileged.clear()
        for start in range(0, len(uses), _MOST_USES):
            yield uses[start : start + _MOST_USES]

    def signals(self, policy_version: str) -> Iterator[Signal]:
        """What was not told yet; services are judged by the policy of their latest report."""
        reports = [
            Report(service, [Occurrence(*at) for at in by_hour.values()])
            for service, by_hour in self._open.items()
        ]
        self._open.clear()
        if self._glass:
            yield self._signal(self._told_hour, policy_version, glass=self._take_glass())
        for uses in self._take_privileged():
            yield self._signal(self._told_hour, policy_version, privileged=uses)
        for numbers in self._numbers.take():
            yield self._signal(self._told_hour, policy_version, numbers=numbers)
        reached = self._progress().reached
        for start in range(0, len(reports), _MOST_SERVICES):
            # Only with the last of them is the hour complete.
            is_last = start + _MOST_SERVICES >= len(reports)
            hour = reached if is_last else self._told_hour
            some = reports[start : start + _MOST_SERVICES]
            yield self._signal(hour, policy_version, some)
        self._told_hour = reached

    def _signal(
        self,
        hour: int,
        policy_version: str,
        reports: Sequence[Report] = (),
        glass: Sequence[GlassMoments] = (),
        privileged: Sequence[PrivilegedUse] = (),
        numbers: Sequence[RunNumbers] = (),
    ) -> Signal:
        times = [at.occurred_at for report in reports for at in report.events]
        times += [at.occurred_at for moments in glass for at in (*moments.uses, *moments.reviews)]
        times += [use.occurred_at for use in privileged]
        times += [one.hour * HOUR for one in numbers]
        attendance = Attendance(
            *(self._partition, hour, list(reports), list(glass), list(privileged), list(numbers)),
            numbers_from=self._numbers.begin,
        )
        return carrier(
            ATTENDANCE, "stream", ATTENDANCE, times, len(times), policy_version, attendance=attendance
        )

    def _progress(self) -> Progress:
        return self._kept.get(_STATE) or Progress()

    def take_changes(self) -> list[StateChange]:
        return self._kept.take_changes() + self._numbers.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        store = self._numbers if key.startswith(self._numbers.prefix) else self._kept
        store.restore(key, value)
