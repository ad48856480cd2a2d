"""Which policy an event is judged by: from which offset of each partition of the events topic each counts."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from keytrail.schemas.applied import AppliedPolicy
from keytrail.schemas.records import Signal
from keytrail.stream.errors import UnreadablePolicyError
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.problems import PolicyError


class Timeline:
    """The policy that counts before any was applied, and those that were applied since, in their order.

    One thread may take policies in while others ask.  A policy's text is read once somebody asks for it:
    what asks raises `UnreadablePolicyError` where this keytrail cannot read it.
    """

    def __init__(self, first: Policy) -> None:
        self._first = first
        self._applied: tuple[AppliedPolicy, ...] = ()
        self._read: dict[str, Policy] = {}

    def take(self, applied: AppliedPolicy) -> None:
        """Take in a policy that was applied after all others; one that is known changes nothing."""
        if all(known.policy_id != applied.policy_id for known in self._applied):
            self._applied = (*self._applied, applied)

    @property
    def latest(self) -> Policy:
        """What was applied last; it counts for what is not judged by an event."""
        return self._policy(self._applied[-1]) if self._applied else self._first

    def at(self, partition: int, offset: int) -> Policy:
        """The policy that the event there is judged by."""
        for applied in reversed(self._applied):
            if applied.first_offset(partition) <= offset:
                return self._policy(applied)
        return self._first

    def of(self, signal: Signal) -> Policy:
        """The policy that gave the signal."""
        return self.named(signal.policy_version)

    def named(self, version: str) -> Policy:
        """The policy of this version; where no known one has it, the latest."""
        if version == self._first.version:
            return self._first
        for applied in reversed(self._applied):
            # The latter: of one that an earlier keytrail applied, which knew fewer fields.
            if version in (applied.version, self._policy(applied).version):
                return self._policy(applied)
        return self.latest

    def knows(self, version: str) -> bool:
        """True where a policy of this version counts somewhere."""
        return version == self._first.version or any(
            version in (applied.version, self._policy(applied).version) for applied in reversed(self._applied)
        )

    def stretches(self, partition: int, offsets: Sequence[int]) -> Iterator[tuple[Policy, int, int]]:
        """The stretches of these rising offsets that one policy counts for each: `offsets[begin:end]`."""
        if not offsets:
            return
        starts = {applied.first_offset(partition) for applied in self._applied}
        inner = sorted(start for start in starts if offsets[0] < start <= offsets[-1])
        borders = [0, *(bisect_left(offsets, start) for start in inner), len(offsets)]
        for begin, end in pairwise(borders):
            if begin < end:
                yield self.at(partition, offsets[begin]), begin, end

    def _policy(self, applied: AppliedPolicy) -> Policy:
        policy = self._read.get(applied.policy_id)
        if policy is None:
            try:
                policy = parse_policy(applied.text, f"Policy {applied.version}")
            except PolicyError as error:
                raise UnreadablePolicyError(
                    f"The policy {applied.version}, applied by {applied.actor}, cannot be read by this "
                    f"keytrail.\n{error}",
                    "Start the workers in the version of keytrail that applied it, or a later one.",
                ) from error
            self._read[applied.policy_id] = policy
        return policy
