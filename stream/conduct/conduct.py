"""A key's conduct: what it did, over all subjects and partitions, as far as the rules need it.

Tallies may come in any order and in any groups: what is kept is the same, as long as a partition is not
further behind the others than what is kept reaches back.  What each part keeps exactly and what it bounds
stands with it.
"""

import json
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from keytrail.schemas.records import Deed, Micros, Occurrence, Tally
from keytrail.stream.conduct.days import Days, together
from keytrail.stream.conduct.firsts import keep_earliest, keep_highest, note_first, of_plain, plain
from keytrail.stream.conduct.minutes import Minutes
from keytrail.stream.conduct.stays import Stays
from keytrail.stream.conduct.tallies import HOUR, MINUTE
from keytrail.stream.errors import StateFormError

FORM = 2  # of the packed state; 2 added stays
MOST_ACTORS = 16
MOST_NETWORKS = 32
_HOURS_KEPT = 30
_PASSED_KEPT = 32
_ACTIONS_KEPT = 8
_PASSES = frozenset({"given", "taken", "passed"})

Kept = TypeVar("Kept")


@dataclass(slots=True)
class Conduct:
    """Of one key.  The first fields are those of its latest record that a tally told of.

    Of actors and networks those that were first are kept, of hours (full hours, UTC; of a person's key
    alone) and of an actor's stays the latest; their first events are exact.  By action the minutes are kept
    in which it was refused, and succeeded after that.  `awoke` and `new_networks` are what rules have said.
    `provisions`: its scope names access changes.  `issued_at` is known where it was issued under keytrail's
    eyes.
    """

    key_id: str
    key_version: int = -1
    kind: str = ""
    owner: str = ""
    break_glass: bool = False
    provisions: bool = False
    issued_at: Micros | None = None
    given: Minutes = field(default_factory=Minutes)
    taken: Minutes = field(default_factory=Minutes)
    refused: dict[str, Minutes] = field(default_factory=dict)
    passed: dict[str, list[int]] = field(default_factory=dict)
    actors: dict[str, Days] = field(default_factory=dict)
    networks: dict[str, Occurrence] = field(default_factory=dict)
    hours: dict[int, Occurrence] = field(default_factory=dict)
    stays: dict[str, Stays] = field(default_factory=dict)
    awoke: bool = False
    new_networks: set[str] = field(default_factory=set)

    @property
    def days(self) -> Days:
        """The days of use, whoever used it."""
        return together(self.actors.values())

    def add(self, tally: Tally) -> None:
        """What is too old to be kept stays until `trim`: the rules are to see it once."""
        if tally.key_version >= self.key_version:
            self.key_version, self.kind, self.owner = tally.key_version, tally.kind, tally.owner
            self.break_glass, self.provisions = tally.break_glass, tally.provisions
        if tally.issued_at is not None:
            self.issued_at = tally.issued_at
        for deed in tally.deeds:
            kind = deed.kind
            if kind == "placed":  # the same event is told as something else
                self.stays.setdefault(deed.actor, Stays()).add(deed.action, deed.events[0])
                continue
            if kind != "passed":  # the same event is told as a use
                self._use(deed)
            if kind == "used":
                continue
            if kind == "given":
                self.given.add(deed)
            elif kind == "taken":
                self.taken.add(deed)
            elif kind == "denied":
                self.refused.setdefault(deed.action, Minutes()).add(deed)
            if kind in _PASSES:
                minutes = self.passed.setdefault(deed.action, [])
                if (minute := deed.last // MINUTE) not in minutes:
                    insort(minutes, minute)
        # The first ones stay, however many come later: no rule has to see the others.
        keep_earliest(self.networks, MOST_NETWORKS)
        if len(self.actors) > MOST_ACTORS:
            by_first = sorted(self.actors, key=lambda actor: (self.actors[actor].very_first, actor))
            self.actors = {actor: self.actors[actor] for actor in by_first[:MOST_ACTORS]}
        if self.stays:
            self.stays = {actor: stays for actor, stays in self.stays.items() if actor in self.actors}

    def _use(self, deed: Deed) -> None:
        first = deed.events[0]
        days = self.actors.get(deed.actor)
        if days is None:
            days = self.actors[deed.actor] = Days()
        days.add(first)
        if deed.network is not None:
            note_first(self.networks, deed.network, first)
        if self.kind == "human":
            note_first(self.hours, first.occurred_at // HOUR, first)

    def trim(self) -> None:
        """Forget what is too old, or too much."""
        self.given.trim()
        self.taken.trim()
        for refused in self.refused.values():
            refused.trim()
        for minutes in self.passed.values():
            del minutes[:-_PASSED_KEPT]
        _keep_latest(self.refused, lambda minutes: max(minutes.by_number))
        _keep_latest(self.passed, lambda minutes: minutes[-1])
        for days in self.actors.values():
            days.trim()
        keep_highest(self.hours, _HOURS_KEPT)
        for stays in self.stays.values():
            stays.trim()


def _keep_latest(by_action: dict[str, Kept], latest: Callable[[Kept], int]) -> None:
    if len(by_action) > _ACTIONS_KEPT:
        for action in sorted(by_action, key=lambda one: (latest(by_action[one]), one))[:-_ACTIONS_KEPT]:
            del by_action[action]


_FACTS = ("key_id", "key_version", "kind", "owner", "break_glass", "provisions", "issued_at")


def pack(conduct: Conduct) -> bytes:
    """The conduct as stored; see `unpack`."""
    facts = [getattr(conduct, name) for name in _FACTS]
    parts = [
        conduct.given.plain(),
        conduct.taken.plain(),
        {action: minutes.plain() for action, minutes in conduct.refused.items()},
        conduct.passed,
        {actor: days.plain() for actor, days in conduct.actors.items()},
        plain(conduct.networks),
        plain(conduct.hours),
        conduct.awoke,
        sorted(conduct.new_networks),
        {actor: stays.plain() for actor, stays in conduct.stays.items()},
    ]
    return json.dumps([FORM, facts, parts], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Conduct:
    form, facts, parts = json.loads(packed)
    if form not in (1, FORM):
        raise StateFormError("conduct", form)
    given, taken, refused, passed, actors, networks, hours, awoke, new_networks, *later = parts
    return Conduct(
        **dict(zip(_FACTS, facts, strict=True)),
        given=Minutes.of(given),
        taken=Minutes.of(taken),
        refused={action: Minutes.of(minutes) for action, minutes in refused.items()},
        passed=passed,
        actors={actor: Days.of(days) for actor, days in actors.items()},
        networks=of_plain(networks),
        hours=of_plain(hours),
        awoke=awoke,
        new_networks=set(new_networks),
        stays={actor: Stays.of(items) for each in later for actor, items in each.items()},
    )
