"""Watching break-glass keys: uses and reviews of all partitions come together, and go out as signals.

In the one partition of the signals topic where attendance is sent, which says what time is complete.
"""

from collections.abc import Iterator

from keytrail.schemas.records import GlassMoments, Micros, Signal
from keytrail.stream.detections import break_glass_unreviewed
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.findings.signals import signal_of
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reviews import history
from keytrail.stream.reviews.history import History, Moment, Overdue, Reviewed
from keytrail.stream.silence.progress import HOUR, NOT_YET
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import StateChange, StateStore


class ReviewWatch:
    """Not thread-safe."""

    def __init__(self, policies: Timeline) -> None:
        self._policies = policies
        self._judges = Judges()
        self._keys: StateStore[History] = StateStore("glass", history.pack, history.unpack)
        self._judged = NOT_YET

    @property
    def prefix(self) -> bytes:
        return self._keys.prefix

    def take(self, moments: GlassMoments, policy_version: str) -> None:
        """Take in what a partition tells; the policy is the one that counted for its events."""
        known = self._keys.get(moments.key_id) or History()
        for at in moments.uses:
            known.use(Moment(at.occurred_at, at.event_id, policy_version))
        for at in moments.reviews:
            known.review(Moment(at.occurred_at, at.event_id, policy_version))
        self._keys.put(moments.key_id, known)

    def judge(self, until: int) -> Iterator[Signal]:
        """What is found of the time before the hour `until`; of that all is known."""
        if until <= self._judged:
            return
        self._judged = until
        for key_id in sorted(self._keys):
            known = self._keys.get(key_id)
            if known is None:
                continue
            before = known.sizes
            for said in known.said(until * HOUR, self._grace):
                yield from self._signals(key_id, said)
            if known.is_over:
                self._keys.remove(key_id)
            elif known.sizes != before:
                self._keys.put(key_id, known)

    def _hours(self, policy_version: str) -> int:
        return self._policies.named(policy_version).reviews.hours

    def _grace(self, policy_version: str) -> Micros:
        return self._hours(policy_version) * HOUR

    def _signals(self, key_id: str, said: Overdue | Reviewed) -> Iterator[Signal]:
        verdict: Verdict
        if isinstance(said, Overdue):
            version = said.uses[-1].policy
            uses = [use.occurrence for use in said.uses]
            verdict = break_glass_unreviewed.unreviewed(key_id, uses, self._hours(version))
        else:
            version = said.review.policy
            verdict = break_glass_unreviewed.reviewed(key_id, said.review.occurrence)
        policy = self._policies.named(version)
        for given in self._judges.of(policy).as_set([verdict]):
            yield signal_of(given, version)

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._keys.restore(key, value)

    def take_changes(self) -> list[StateChange]:
        return self._keys.take_changes()
