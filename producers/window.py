"""The events that are under way: with a courier, until the fate of each is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from keytrail.producers.courier import Courier
from keytrail.producers.sealed import Sealed
from keytrail.schemas.errors import SchemaError, UnavailableError

_FULL_PAUSE_S = 0.05
_AWAY_PAUSE_S = 1.0


@dataclass(frozen=True)
class Turn:
    """What one look has shown: whether all is known, how long to leave it alone, and why it has to wait."""

    is_over: bool = False
    pause_s: float = 0.0
    why: str = ""


@dataclass
class Window:
    """Events that go out together, the next ones after them.  Not thread-safe.

    `refused` are the datums that nobody takes, and why.
    """

    events: Sequence[Sealed] = ()
    from_memory: bool = False
    refused: dict[bytes, str] = field(default_factory=dict)
    _sent: int = 0
    _pending: int = 0

    @property
    def unsettled(self) -> int:
        """How many events may not have arrived, as far as is known by now."""
        return len(self.events) - self._sent + self._pending

    @property
    def lost(self) -> list[Sealed]:
        """The events that were refused."""
        return [one for one in self.events if one.datum in self.refused] if self.refused else []

    def advance(self, courier: Courier, look_s: float) -> Turn:
        """Send what is not sent, and look for so long what became of it."""
        unsent = self.events[self._sent :]
        try:
            taken = courier.send(unsent) if unsent else 0
        except (UnavailableError, SchemaError) as error:
            return Turn(pause_s=_AWAY_PAUSE_S, why=f"events wait: {error}")
        self._sent += taken
        progress = courier.settle(look_s)
        self._pending = progress.pending
        if progress.pending:
            return Turn(why=f"events wait: {progress.why}." if progress.why else "")
        if progress.failed:
            self._sent, self.refused = 0, {}
            why = f"{progress.failed} events are sent again: {progress.why}."
            return Turn(pause_s=_AWAY_PAUSE_S, why=why)
        self.refused.update(dict.fromkeys(progress.refused, progress.why))
        if self._sent < len(self.events):
            return Turn(pause_s=0.0 if taken else _FULL_PAUSE_S)
        return Turn(is_over=True)
