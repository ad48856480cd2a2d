"""The watch: moments of all partitions come together, and what has not come in time is told.

In the one partition of the signals topic where all moments are sent.  The stream's time is the latest hour
that two services have reached, so that no single wrong clock moves it.
"""

from collections.abc import Iterable, Iterator
from heapq import nlargest
from operator import itemgetter

from keytrail.schemas.records import Micros, Moment, Signal
from keytrail.stream.awaited import attendance, reviews
from keytrail.stream.awaited.attendance import LATENESS, Attendance
from keytrail.stream.awaited.moments import HOUR
from keytrail.stream.awaited.reviews import GlassUses
from keytrail.stream.detections import audit_silence, break_glass_unreviewed
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.judging import Judge
from keytrail.stream.policy import Policy
from keytrail.stream.signals import signal_of
from keytrail.stream.store import StateChange, StateStore


class AwaitedWatch:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._judges: dict[str, Judge] = {}
        self._services: StateStore[Attendance] = StateStore("attendance", attendance.pack, attendance.unpack)
        self._keys: StateStore[GlassUses] = StateStore("glass-uses", reviews.pack, reviews.unpack)
        self._stores = (self._services, self._keys)
        self._policy = Policy()
        self._new_services: set[str] = set()
        self._new_keys: set[str] = set()
        self._latest: dict[str, int] = {}  # by service, the hour of its latest report
        # When there may be more to say of a service (an hour) or a key (a time) though nothing comes of it.
        self._service_due: dict[str, int] = {}
        self._key_due: dict[str, Micros] = {}

    def take(self, moments: Iterable[Moment], policy: Policy) -> None:
        """Take in what came; it is judged by the policy that counted for its events."""
        self._policy = policy
        for moment in moments:
            if moment.kind == "report":
                self._new_services.add(moment.name)
                self._reported(moment)
            else:
                self._new_keys.add(moment.name)
                self._used_or_reviewed(moment)

    def judge(self) -> list[Signal]:
        """What is found with all that was taken in since the last call.

        To be asked once a batch: within one, the partitions need not have come equally far.
        """
        if not self._new_services and not self._new_keys:
            return []
        policy = self._policy
        judge = self._judges.get(policy.version)
        if judge is None:
            judge = self._judges[policy.version] = Judge(policy)
        verdicts = [*self._of_services(self._new_services, policy), *self._of_keys(self._new_keys, policy)]
        self._new_services.clear()
        self._new_keys.clear()
        return [signal_of(verdict, policy.version) for verdict in judge.as_set(verdicts)]

    def _reported(self, moment: Moment) -> None:
        known = self._services.get(moment.name) or Attendance()
        for at in moment.events:
            known.add(at)
        self._services.put(moment.name, known)
        self._latest[moment.name] = known.latest

    def _used_or_reviewed(self, moment: Moment) -> None:
        known = self._keys.get(moment.name) or GlassUses()
        for at in moment.events:
            if moment.kind == "use":
                known.use(at)
            else:
                known.review(at)
        self._keys.put(moment.name, known)

    def _of_services(self, touched: set[str], policy: Policy) -> Iterator[Verdict]:
        first = nlargest(3, self._latest.items(), key=itemgetter(1))
        now = _time([hour for _, hour in first])
        due = {name for name, at in self._service_due.items() if at <= now}
        for name in sorted(touched | due):
            known = self._services.get(name)
            if known is None:
                continue
            others = _time([hour for other, hour in first if other != name])
            for last, again in known.silences(others, policy.silence):
                yield audit_silence.missed(name, last)
                if again is not None:
                    yield audit_silence.back(name, again)
            self._services.put(name, known)
            due_at = known.due(others, policy.silence)
            if due_at is None:
                self._service_due.pop(name, None)
            else:
                self._service_due[name] = due_at

    def _of_keys(self, touched: set[str], policy: Policy) -> Iterator[Verdict]:
        now = _time(nlargest(2, self._latest.values())) * HOUR
        due = {name for name, at in self._key_due.items() if at < now}
        hours, lateness = policy.reviews.hours, LATENESS * HOUR
        for name in sorted(touched | due):
            known = self._keys.get(name)
            if known is None:
                continue
            for review, uses in known.overdue(now, hours * HOUR, lateness):
                yield break_glass_unreviewed.unreviewed(name, uses, hours)
                if review is not None:
                    yield break_glass_unreviewed.reviewed(name, uses, review)
            self._keys.put(name, known)
            due_at = known.due(hours * HOUR, lateness)
            if due_at is None:
                self._key_due.pop(name, None)
            else:
                self._key_due[name] = due_at

    def keeps(self, key: bytes) -> bool:
        """True for a record of the changelog that is the watch's."""
        return any(key.startswith(store.prefix) for store in self._stores)

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order.  The next moments have a look at it."""
        if key.startswith(self._keys.prefix):
            self._keys.restore(key, value)
            self._key_due[key.removeprefix(self._keys.prefix).decode()] = 0
            return
        self._services.restore(key, value)
        name = key.removeprefix(self._services.prefix).decode()
        if value is not None:
            self._latest[name] = attendance.unpack(value).latest
            self._service_due[name] = 0

    def take_changes(self) -> list[StateChange]:
        return [change for store in self._stores for change in store.take_changes()]


def _time(latest: list[int]) -> int:
    """The hour that two have reached, or the one that there is; `latest` falls.  0 where nobody tells."""
    return latest[1] if len(latest) > 1 else latest[0] if latest else 0
