"""Moments: which services reported, and when break-glass keys were used and that was reviewed.

Of one partition of the events topic.  A service is told once an hour, and a key once a minute, each with the
first event; what was told is remembered a while, in memory alone, and telling it again changes nothing.
All partitions tell it to one place (`watch`): a service that is silent in one may speak in another.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event, Key, Micros, Moment, MomentKind, Occurrence, Signal
from keytrail.schemas.triage import said_of
from keytrail.stream.detections import break_glass_unreviewed, break_glass_use
from keytrail.stream.signals import AWAITED, capped

MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
_MOST_TOLD = 50_000
_MOST_NAMES = 500  # of one signal: with the longest names some 1 MB
_REVIEWED = frozenset({break_glass_use.RULE.name, break_glass_unreviewed.RULE.name})

_At = tuple[Micros, str]


class Moments:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], _At] = {}
        self._open: dict[tuple[MomentKind, str], dict[int, _At]] = {}

    def note(self, event: Event, key: Key | None) -> None:
        """The event's service is there; and it may be a use of a break-glass key."""
        at, place = event.occurred_at, (event.service, event.occurred_at // HOUR)
        told = self._told.get(place)
        if told is None or at < told[0] or (at == told[0] and event.event_id < told[1]):
            self._tell("report", place, (at, event.event_id))
        if key is not None and key.break_glass:
            # Below 0, since a service may be named as the key is.
            self._use((key.key_id, -(at // MINUTE)), (at, event.event_id))

    def _use(self, place: tuple[str, int], at: _At) -> None:
        told = self._told.get(place)
        if told is None or at < told:
            self._tell("use", place, at)

    def review(self, event: Event) -> None:
        """The event is a decision on a finding; one on a break-glass use is a review of it."""
        if said_of(event.attributes, "rule") in _REVIEWED:
            key_id = said_of(event.attributes, "entity")
            at = (event.occurred_at, event.event_id)
            self._open.setdefault(("review", key_id), {})[event.occurred_at] = at

    def _tell(self, kind: MomentKind, place: tuple[str, int], at: _At) -> None:
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[place] = at
        self._open.setdefault((kind, place[0]), {})[place[1]] = at

    def signals(self, policy_version: str) -> list[Signal]:
        """The moments since the last call; they are to be judged by this policy."""
        moments = [
            Moment(kind, capped(name), [Occurrence(*at) for at in sorted(by_period.values())])
            for (kind, name), by_period in self._open.items()
        ]
        self._open.clear()
        return [_signal(some, policy_version) for some in _pieces(moments)]


def _pieces(moments: list[Moment]) -> Iterator[list[Moment]]:
    """In pieces that fit a record, however long their names are."""
    for start in range(0, len(moments), _MOST_NAMES):
        yield moments[start : start + _MOST_NAMES]


def _signal(moments: list[Moment], policy_version: str) -> Signal:
    return Signal(
        rule=AWAITED,
        entity_type="stream",
        entity=AWAITED,
        cause="",
        holds=True,
        severity="",
        summary="",
        remedy="",
        events=[],
        count=len(moments),
        first_seen=min(moment.events[0].occurred_at for moment in moments),
        last_seen=max(moment.events[-1].occurred_at for moment in moments),
        details={},
        policy_version=policy_version,
        moments=moments,
    )
