"""Tallies: what each known key did in a batch of one partition's events, for the rules over a key's conduct.

Access that was given or taken away and refusals are counted: every such event is told, drawn together by
minute, and so are successes after a refusal (`refusals`).  Of the others the first is told that one actor
makes from one address in a day, or with a person's key in an hour; and with that key the first at one place
in ten minutes.  What was told is remembered, and told once more where that was forgotten: hearing it again
changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from keytrail.schemas.records import Deed, DeedKind, Event, Key, Micros, Occurrence, Signal, Tally
from keytrail.stream.conduct.deeds import GIVES, kind_of
from keytrail.stream.conduct.refusals import Refusals
from keytrail.stream.findings.signals import KEEP, capped, carrier
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.stages.store import StateChange, StateStore

NAME = "conduct"  # stands where other signals name their rule
MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
STAY = 10 * MINUTE  # that somebody was at a place is told once in such a time
_MOST_TOLD = 50_000
_MOST_DEEDS = 500  # of one signal: with the longest texts some 2.5 MB
_SINCE = "since"

_Place = tuple[str, int, str, str | None]
_Name = tuple[DeedKind, int, str, str, str | None]


@dataclass(slots=True)
class _Open:
    """A deed that still grows."""

    count: int
    last: Micros
    events: list[tuple[Micros, str]]


class Tallies:
    """Of one partition.  Not thread-safe."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self._told: dict[_Place, tuple[Micros, str]] = {}
        self._keys: dict[str, Key] = {}
        self._open: dict[str, dict[_Name, _Open]] = {}
        # The time of the first event that was ever seen here: what a key did before it nobody knows.
        self._since: StateStore[Micros] = StateStore("watch", lambda at: str(at).encode(), int)

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        return self._since.prefix, self._refusals.prefix

    def watch(self, first: Micros) -> None:
        """The batch's events begin at this time."""
        since = self._since.get(_SINCE)
        if since is None or first < since:
            self._since.put(_SINCE, first)

    def note(self, event: Event, key: Key, place: str | None = None) -> None:
        """An event by this key, which is known; the place is where it was used, if that matters."""
        kind, time, action = kind_of(event), event.occurred_at, event.action
        at = (time, event.event_id)
        if event.outcome == "success":
            if self._refusals.succeed(key.key_id, action, at):
                self._add(key, ("passed", time // MINUTE, action, "", None), at)
        elif kind == "denied" and (success := self._refusals.refuse(key.key_id, action, at)):
            self._add(key, ("passed", success[0] // MINUTE, action, "", None), success)
        if place is not None:
            self._note_place(event, key, place)
        # A key that states its networks is judged by those.
        address = None if key.scope_networks else event.source_ip
        if kind == "used":
            period = time // (HOUR if key.kind == "human" else DAY)
            if not self._is_new((key.key_id, period, event.actor_id, address), at):
                return
        else:
            period = time // MINUTE
        network = None if address is None else network_of(address)
        self._add(key, (kind, period, action, event.actor_id, network), at)

    def _note_place(self, event: Event, key: Key, place: str) -> None:
        at, period = (event.occurred_at, event.event_id), event.occurred_at // STAY
        # Below 0, so that it is none of the periods of other uses.
        if self._is_new((key.key_id, -period, event.actor_id, place), at):
            self._add(key, ("placed", period, place, event.actor_id, None), at)

    def _is_new(self, place: _Place, at: tuple[Micros, str]) -> bool:
        """True where nothing as early was told of it; from now on it was."""
        told = self._told.get(place)
        if told is not None and told <= at:
            return False
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[place] = at
        return True

    def _add(self, key: Key, name: _Name, at: tuple[Micros, str]) -> None:
        deeds = self._open.get(key.key_id)
        if deeds is None:
            deeds = self._open[key.key_id] = {}
            self._keys[key.key_id] = key
        deed = deeds.get(name)
        if deed is None:
            deeds[name] = _Open(1, at[0], [at])
            return
        deed.count += 1
        if at[0] > deed.last:
            deed.last = at[0]
        deed.events.append(at)
        if len(deed.events) > 4 * KEEP:
            deed.events = sorted(deed.events)[:KEEP]

    def signals(self, policy_version: str) -> list[Signal]:
        """The tallies since the last call; they are to be judged by this policy.

        One a key, or more where a key did so much that it would not fit a record.
        """
        told = [
            self._signal(key_id, key, deeds, policy_version)
            for key_id, key in self._keys.items()
            for deeds in _pieces([_deed(*name, deed) for name, deed in self._open[key_id].items()])
        ]
        self._keys.clear()
        self._open.clear()
        return told

    def take_changes(self) -> list[StateChange]:
        return self._since.take_changes() + self._refusals.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        if key.startswith(self._since.prefix):
            self._since.restore(key, value)
        else:
            self._refusals.restore(key, value)

    def _signal(self, key_id: str, key: Key, deeds: list[Deed], policy_version: str) -> Signal:
        since = self._since.get(_SINCE)
        tally = Tally(
            key_version=key.version,
            kind=key.kind,
            owner=key.owner,
            break_glass=key.break_glass,
            provisions=_provisions(tuple(key.scope_actions)),
            issued_at=key.issued_at if since is not None and key.issued_at >= since else None,
            deeds=deeds,
        )
        times = [at for deed in deeds for at in (deed.events[0].occurred_at, deed.last)]
        return carrier(NAME, "key", key_id, times, len(deeds), policy_version, tally=tally)


def _pieces(deeds: list[Deed]) -> Iterator[list[Deed]]:
    """In pieces that fit a record, however long their texts are."""
    for start in range(0, len(deeds), _MOST_DEEDS):
        yield deeds[start : start + _MOST_DEEDS]


def _deed(kind: DeedKind, _period: int, action: str, actor: str, network: str | None, deed: _Open) -> Deed:
    first = deed.events if deed.count == 1 else sorted(deed.events)[:KEEP]
    events = [Occurrence(at, event_id) for at, event_id in first]
    return Deed(kind, capped(action), capped(actor), network, deed.count, deed.last, events)


@lru_cache(maxsize=4096)
def _provisions(scope_actions: tuple[str, ...]) -> bool:
    return bool(scope_actions) and any(matches_any(scope_actions, action) for action in GIVES)


@lru_cache(maxsize=65_536)
def network_of(address: str) -> str | None:
    """The /24 or, of IPv6, the /48 around an address; None for text that is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    return str(ip_network((ip, 24 if ip.version == 4 else 48), strict=False))
