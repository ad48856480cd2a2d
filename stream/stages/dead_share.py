"""Whether too many of a partition's latest records are dead: an alarm when it begins and when it is over."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ShareRule:
    """The alarm begins where more than `begins` of the latest `window` records are dead, if `least` came.

    It is over where no more than `ends` are: between the two nothing new is told.
    """

    begins: float = 0.5
    ends: float = 0.25
    least: int = 100
    window: int = 1_000


@dataclass(frozen=True)
class Alarm:
    """`begun` is False where the alarm is over; `reason` is the commonest among the `dead`, "" if none is."""

    begun: bool
    dead: int
    records: int
    reason: str


class DeadShare:
    """Counts one partition's records, batch by batch.  Not thread-safe."""

    def __init__(self, rule: ShareRule | None = None) -> None:
        self._rule = rule or ShareRule()
        self._batches: deque[tuple[int, Mapping[str, int]]] = deque()
        self._records = 0
        self._dead: Counter[str] = Counter()
        self._begun = False

    def add(self, records: int, dead: Mapping[str, int]) -> Alarm | None:
        """Take in a batch of `records`, of which `dead` says how many died of each reason.

        What is older goes as soon as the newer batches alone fill the window.  Returns what is to be told.
        """
        if records:
            self._batches.append((records, dead))
            self._records += records
            self._dead.update(dead)
        while self._batches and self._records - self._batches[0][0] >= self._rule.window:
            old_records, old_dead = self._batches.popleft()
            self._records -= old_records
            self._dead.subtract(old_dead)
        total = self._dead.total()
        if self._begun:
            turned = total <= self._rule.ends * self._records
        else:
            turned = self._records >= self._rule.least and total > self._rule.begins * self._records
        if not turned:
            return None
        self._begun = not self._begun
        [(reason, count)] = self._dead.most_common(1) or [("", 0)]
        return Alarm(self._begun, total, self._records, reason if count else "")
