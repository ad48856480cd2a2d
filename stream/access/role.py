"""One role of a subject: whether it is held, and how it came and went."""

from bisect import insort
from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Micros, Occurrence

DAY = 24 * 3600 * 1_000_000
KEPT_TURNS = 16
TURNS_LAST = 31 * DAY


class Turn(NamedTuple):
    """One grant or revoke; ordered by time, then id."""

    at: Micros
    event_id: str
    is_grant: bool


@dataclass(slots=True)
class Role:
    """Days are counted since 1970; -1: never used, or granted without an end.

    `team` is the subject's as the latest grant stated it, "" where it stated none or the role is not held;
    `told_team` is the one that counts the subject as a holder.  `environment`, `resource` and `key` (its id,
    or else its alias) are the latest grant's, "" where it names none or the role is not held.  `turns` are
    the `KEPT_TURNS` latest grants and revokes within `TURNS_LAST` of the last, in order, and none where the
    latest change is the only one.
    """

    held: bool
    changed: Occurrence
    permissions: tuple[str, ...] = ()
    last_used_day: int = -1
    ends_day: int = -1
    team: str = ""
    told_team: str = ""
    turns: list[Turn] = field(default_factory=list)
    environment: str = ""
    resource: str = ""
    key: str = ""

    @property
    def day(self) -> int:
        """The day of the latest grant or revoke."""
        return self.changed.occurred_at // DAY

    def only_turn(self) -> Turn:
        """The latest change, as a turn."""
        return Turn(self.changed.occurred_at, self.changed.event_id, self.held)

    def history(self) -> list[Turn]:
        """The grants and revokes that are kept, in order.  Not to be changed."""
        return self.turns or [self.only_turn()]

    def note(self, turn: Turn) -> bool:
        """Take in a grant or revoke; False where it is too old to be kept."""
        if not self.turns and self.changed.event_id:
            self.turns = [self.only_turn()]
        insort(self.turns, turn)
        since = self.turns[-1].at - TURNS_LAST
        self.turns = [kept for kept in self.turns[-KEPT_TURNS:] if kept.at > since]
        return turn in self.turns

    def bytes_named(self, name: str) -> int:
        """What its name, permissions, place and key take as UTF-8."""
        texts = (name, *self.permissions, self.environment, self.resource, self.key)
        return sum(len(text.encode()) for text in texts)
