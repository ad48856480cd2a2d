"""Watching privileged keys: uses of all partitions come together, and what the rule says goes out as signals.

In the one partition of the signals topic where attendance is sent, which says what time is complete.  What is
known of the keys is in the directory: a key is judged at the end of each day by the times in its record.
"""

from collections import defaultdict
from collections.abc import Iterator

from keytrail.schemas.records import Attendance, Key, Micros, Occurrence, Signal
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections import dormant_privileged_key
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.dormancy import days, rest
from keytrail.stream.dormancy.days import HOURS, Days
from keytrail.stream.dormancy.rest import NOT_YET, Rest
from keytrail.stream.findings.signals import capped, signal_of
from keytrail.stream.keys.keys import KeyDirectory, status_at
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.silence.progress import LATENESS
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import KeepsState, StateStore

_STATE = "all"


class DormancyWatch(KeepsState):
    """Not thread-safe; others may change the directory meanwhile.

    Each watched key has a rest.  `_looks` says on which days which keys are to be looked at, and `_rested`
    when that is for a long rest: it is put off once that day has come, not with each use.
    """

    def __init__(self, policies: Timeline, keys: KeyDirectory) -> None:
        self._policies = policies
        self._keys = keys
        self._judges = Judges()
        self._rests: StateStore[Rest] = StateStore("dormant", rest.pack, rest.unpack)
        self._days: StateStore[Days] = StateStore("dormant-days", days.pack, days.unpack)
        super().__init__(self._rests, self._days)
        self._watched: dict[str, Key] = {}
        self._by_policy: str | None = None
        self._mark = 0
        self._looks: dict[int, set[str]] = defaultdict(set)
        self._rested: dict[str, int] = {}

    def take(self, attendance: Attendance, policy_version: str) -> None:
        """Take in what a partition tells; the policy is the one that counted for its events."""
        known = self._known_days()
        if known.note(attendance, policy_version):
            self._days.put(_STATE, known)
        for use in attendance.privileged:
            at = Occurrence(use.occurred_at, use.event_id)
            one = self._rests.get(use.key_id) or Rest()
            one.use(at, known.judged)
            self._rests.put(use.key_id, one)
            day = use.occurred_at // DAY
            # The looks at those that wait behind the first come one from another.
            if day < known.judged or day == one.next_day:
                self._looks[max(day, known.judged) + 1].add(use.key_id)

    def may_end_a_day(self, hour: int) -> bool:
        """Whether a day may be over that was not judged, now that a partition has reached this hour."""
        return hour - LATENESS >= (self._known_days().judged + 1) * HOURS

    def judge(self, until: int) -> Iterator[Signal]:
        """What is found of the days before the hour `until`; of that all is known."""
        known, end = self._known_days(), until // HOURS
        is_first = known.judged == NOT_YET
        judged = known.first if is_first else known.judged
        # Of state from before this rule hours are known, but no policy of them.
        if judged is None or end <= judged or not known.policies:
            return
        for day in range(judged + 1, end + 1):
            policy = self._policies.named(known.policy_at(day * HOURS + LATENESS))
            self._learn(day, policy, is_first=is_first)
            is_first = False
            for name in sorted(self._looks.pop(day, ())):
                yield from self._look(name, day, policy)
            known.judged = day
            self._days.put(_STATE, known)

    def _known_days(self) -> Days:
        return self._days.get(_STATE) or Days()

    def _learn(self, day: int, policy: Policy, *, is_first: bool) -> None:
        """Take in which keys have changed, or which of them another policy watches."""
        if self._by_policy is None:
            # What was watched before a restart may no longer be, and uses may wait.
            self._looks[day].update(self._rests)
        if self._by_policy != policy.version:
            self._by_policy, self._mark = policy.version, 0
        names, self._mark = self._keys.changed_since(self._mark)
        judge = self._judges.of(policy)
        for name in names:
            key = self._keys.find(name)
            own = capped(name if key is None else key.key_id)
            if key is not None and judge.is_watched(key):
                self._begin(own, key, day, is_first=is_first)
            elif self._watched.pop(own, None) is not None:
                self._looks[day].add(own)

    def _begin(self, name: str, key: Key, day: int, *, is_first: bool) -> None:
        self._watched[name] = key
        one = self._rests.get(name) or Rest()
        if one.since == NOT_YET:
            issued = key.issued_at // DAY
            # Uses of one that was not watched until now were not told.
            one.since = issued if issued >= day - 1 else day - is_first
            self._rests.put(name, one)
        self._looks[day].add(name)
        for turn in _turns(key):
            if turn > day:
                self._looks[turn].add(name)

    def _look(self, name: str, day: int, policy: Policy) -> Iterator[Signal]:
        if self._rested.get(name) == day:
            del self._rested[name]
        one = self._rests.get(name)
        if one is None:
            return
        told, key = one.told, self._watched.get(name)
        one.go_on(day)
        if key is None:
            if told is not None:
                yield from self._signals(dormant_privileged_key.ended(name, "watched no more", day), policy)
            if one.waiting:
                # By the policy of those days it is watched again.
                self._rests.put(name, Rest(waiting=one.waiting))
                self._look_after_next_use(name, one)
            else:
                self._rests.remove(name)
            return
        began, status = one.began, status_at(key, Micros(day * DAY))
        if status != "active" or day - began < policy.dormancy.days:
            one.told = None
        else:
            one.told = began
        self._rests.put(name, one)
        if one.told is not None and one.told != told:
            yield from self._signals(dormant_privileged_key.lies(name, key, began, one.last, day), policy)
        elif one.told is None and told is not None:
            used = one.last if began > told else None
            why = "in use" if status == "active" else status
            yield from self._signals(dormant_privileged_key.ended(name, why, day, used), policy)
        due = began + policy.dormancy.days
        if due > day and due < self._rested.get(name, due + 1):
            self._rested[name] = due
            self._looks[due].add(name)
        self._look_after_next_use(name, one)

    def _look_after_next_use(self, name: str, one: Rest) -> None:
        if one.next_day is not None:
            self._looks[one.next_day + 1].add(name)

    def _signals(self, verdict: Verdict, policy: Policy) -> Iterator[Signal]:
        # What has ended is said though the rule may be off by now.
        given = self._judges.of(policy).as_set([verdict]) if verdict.holds else [verdict]
        yield from (signal_of(one, policy.version) for one in given)


def _turns(key: Key) -> Iterator[int]:
    """The first days that begin with another status than the day before may have."""
    times = [key.revoked_at, key.expires_at, key.suspended_at]
    times += [at for over in key.suspensions for at in (over.since, over.until)]
    for at in times:
        if at is not None:
            yield -(-at // DAY)
