"""A key's conduct: what it did, over all subjects and partitions, as far as the rules need it.

Tallies may come in any order and in any groups: what is kept is the same, as long as a partition is not
further behind the others than what is kept reaches back.  What each part keeps exactly and what it bounds
stands with it.
"""

import json
from dataclasses import dataclass, field

from keytrail.schemas.records import Micros, Tally
from keytrail.stream.conduct.minutes import Minutes
from keytrail.stream.errors import StateFormError

FORM = 1  # of the packed state


@dataclass(slots=True)
class Conduct:
    """Of one key.  The first fields are those of its latest record that a tally told of.

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

    def add(self, tally: Tally) -> None:
        """What is too old to be kept stays until `trim`: the rules are to see it once."""
        if tally.key_version >= self.key_version:
            self.key_version, self.kind, self.owner = tally.key_version, tally.kind, tally.owner
            self.break_glass, self.provisions = tally.break_glass, tally.provisions
        if tally.issued_at is not None:
            self.issued_at = tally.issued_at
        for deed in tally.deeds:
            if deed.kind == "given":
                self.given.add(deed)
            elif deed.kind == "taken":
                self.taken.add(deed)

    def trim(self) -> None:
        """Forget what is too old, or too much."""
        self.given.trim()
        self.taken.trim()


_FACTS = ("key_id", "key_version", "kind", "owner", "break_glass", "provisions", "issued_at")


def pack(conduct: Conduct) -> bytes:
    """The conduct as stored; see `unpack`."""
    facts = [getattr(conduct, name) for name in _FACTS]
    parts = [conduct.given.plain(), conduct.taken.plain()]
    return json.dumps([FORM, facts, parts], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Conduct:
    form, facts, parts = json.loads(packed)
    if form != FORM:
        raise StateFormError("conduct", form)
    given, taken = parts
    return Conduct(**dict(zip(_FACTS, facts, strict=True)), given=Minutes.of(given), taken=Minutes.of(taken))
