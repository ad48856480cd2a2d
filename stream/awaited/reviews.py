"""Uses of a break-glass key, and the reviews of them.

Uses belong to the first review after them, or wait for one.  Uses and reviews may come in any order, as long
as none comes later than is allowed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Micros, Occurrence
from keytrail.stream.awaited.moments import MINUTE
from keytrail.stream.conduct.firsts import note_first, of_plain, plain
from keytrail.stream.errors import StateFormError

FORM = 1  # of the packed state
_MOST_USES = 100
_MOST_REVIEWS = 64


class Overdue(NamedTuple):
    """Uses, in order, for which one review came too late, or for which none came (None)."""

    review: Micros | None
    uses: tuple[Occurrence, ...]


@dataclass(slots=True)
class GlassUses:
    """Of one key.  `uses` are the first by minute; `told` is what was given as overdue and may change."""

    uses: dict[int, Occurrence] = field(default_factory=dict)
    reviews: list[Micros] = field(default_factory=list)
    told: list[Overdue] = field(default_factory=list)

    def use(self, at: Occurrence) -> None:
        """The earliest uses are kept, and of reviews the latest."""
        note_first(self.uses, at.occurred_at // MINUTE, at)
        for minute in sorted(self.uses)[_MOST_USES:]:
            del self.uses[minute]

    def review(self, at: Occurrence) -> None:
        self.reviews = sorted({*self.reviews, at.occurred_at})[-_MOST_REVIEWS:]

    def overdue(self, now: Micros, grace: Micros, lateness: Micros) -> Iterator[Overdue]:
        """What is overdue and was not given before, or has changed; in order.

        `now` is the stream's time.  What was given last and turns out not to be overdue is given with its
        review.
        """
        found = list(self._overdue(now, grace, lateness))
        same = 0
        while same < min(len(found), len(self.told)) and found[same] == self.told[same]:
            same += 1
        yield from found[same:]
        if self.told[same:] and self.told[-1].review is None and not found[same:]:
            [*_, last] = self.told
            yield Overdue(self._review_of(last.uses[-1]) or last.uses[-1].occurred_at, last.uses)
        self.told = [each for each in found if each.review is None or each.review >= now - lateness]
        reviewed = [use for use in self.uses.values() if self._is_done(use, now - lateness)]
        for use in reviewed:
            del self.uses[use.occurred_at // MINUTE]

    def due(self, grace: Micros, lateness: Micros) -> Micros | None:
        """When the next use that was not given is overdue; None where none will be without a further use."""
        given = {use for each in self.told for use in each.uses}
        ends = [
            use.occurred_at + grace
            for use in self.uses.values()
            if use not in given and self._is_late(use, use.occurred_at + grace)
        ]
        return min(ends) + lateness if ends else None

    def _overdue(self, now: Micros, grace: Micros, lateness: Micros) -> Iterator[Overdue]:
        by_review: dict[Micros | None, list[Occurrence]] = {}
        for minute in sorted(self.uses):
            use = self.uses[minute]
            end = use.occurred_at + grace
            if now > end + lateness and self._is_late(use, end):
                by_review.setdefault(self._review_of(use), []).append(use)
        for review, uses in by_review.items():
            yield Overdue(review, tuple(uses))

    def _review_of(self, use: Occurrence) -> Micros | None:
        return next((at for at in self.reviews if at >= use.occurred_at), None)

    def _is_late(self, use: Occurrence, end: Micros) -> bool:
        """No review until then, as far as is known."""
        review = self._review_of(use)
        return review is None or review > end

    def _is_done(self, use: Occurrence, before: Micros) -> bool:
        """Reviewed, and nothing can come any more that changes that."""
        review = self._review_of(use)
        return review is not None and review < before


def pack(known: GlassUses) -> bytes:
    """The uses as stored; see `unpack`."""
    told = [[each.review, [[use.occurred_at, use.event_id] for use in each.uses]] for each in known.told]
    return json.dumps([FORM, plain(known.uses), known.reviews, told], separators=(",", ":")).encode()


def unpack(packed: bytes) -> GlassUses:
    form, *fields = json.loads(packed)
    if form != FORM:
        raise StateFormError("break-glass uses", form)
    uses, reviews, told = fields
    return GlassUses(
        of_plain(uses),
        reviews,
        [Overdue(review, tuple(Occurrence(*use) for use in some)) for review, some in told],
    )
