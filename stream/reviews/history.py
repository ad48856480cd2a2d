"""The uses of one break-glass key, and the reviews of them, gone through in order of time.

They may come in any order, as long as a time is gone through when all of its uses and reviews are there: then
what is said does not depend on when it is asked.
"""

import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from keytrail.schemas.records import Micros, Occurrence
from keytrail.stream.errors import StateFormError
from keytrail.stream.silence.progress import MINUTE

_FORM = 1  # of the packed state
_MOST_USES = 100
# Of each that wait to be gone through: where a partition holds the hours back, they come without end.
_MOST_UNREAD = 2_000
_USE, _REVIEW, _END = range(3)  # in the order in which they count where they come at once


class Moment(NamedTuple):
    """A use or a review, and the version of the policy that counted for it."""

    at: Micros
    event_id: str
    policy: str

    @property
    def occurrence(self) -> Occurrence:
        return Occurrence(self.at, self.event_id)


class Overdue(NamedTuple):
    """Uses, in order, that nobody reviewed in time, the latest of them by now."""

    uses: tuple[Moment, ...]


class Reviewed(NamedTuple):
    """All overdue uses were reviewed."""

    review: Moment


@dataclass(slots=True)
class History:
    """`uses` (by minute, the first) and `reviews` were not gone through, of each the `_MOST_UNREAD` earliest;
    `waiting` and `overdue` were.
    """

    uses: dict[int, Moment] = field(default_factory=dict)
    reviews: list[Moment] = field(default_factory=list)
    waiting: list[Moment] = field(default_factory=list)
    overdue: list[Moment] = field(default_factory=list)

    def use(self, moment: Moment) -> None:
        minute = moment.at // MINUTE
        known = self.uses.get(minute)
        if known is None or moment < known:
            self.uses[minute] = moment
            if len(self.uses) > _MOST_UNREAD:
                del self.uses[max(self.uses)]

    def review(self, moment: Moment) -> None:
        self.reviews.append(moment)
        if len(self.reviews) > _MOST_UNREAD:
            self.reviews.remove(max(self.reviews))

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """How much is kept of each; it differs once anything was gone through."""
        return len(self.uses), len(self.reviews), len(self.waiting), len(self.overdue)

    @property
    def is_over(self) -> bool:
        """Nothing is kept that matters."""
        return not any(self.sizes)

    def said(self, until: Micros, grace: Callable[[str], Micros]) -> Iterator[Overdue | Reviewed]:
        """What is to be said of the time before `until`, in order; all of it is known.

        `grace` is how long a policy's version waits for a review.  To be read to its end.
        """
        due = [(use.at, _USE, use) for use in self.uses.values()]
        due += [(review.at, _REVIEW, review) for review in self.reviews]
        due += [(use.at + grace(use.policy), _END, use) for use in self.waiting]
        heapq.heapify(due)
        while due and due[0][0] < until:
            at, what, moment = heapq.heappop(due)
            if what == _USE:
                del self.uses[at // MINUTE]
                if len(self.waiting) + len(self.overdue) < _MOST_USES:
                    self.waiting.append(moment)
                    heapq.heappush(due, (at + grace(moment.policy), _END, moment))
            elif what == _REVIEW:
                self.reviews.remove(moment)
                self.waiting.clear()
                if self.overdue:
                    self.overdue.clear()
                    yield Reviewed(moment)
            elif moment in self.waiting:
                self.waiting.remove(moment)
                self.overdue.append(moment)
                yield Overdue(tuple(self.overdue))


def pack(history: History) -> bytes:
    """The history as stored; see `unpack`."""
    parts = (list(history.uses.values()), history.reviews, history.waiting, history.overdue)
    return json.dumps([_FORM, *parts], separators=(",", ":")).encode()


def unpack(packed: bytes) -> History:
    form, *parts = json.loads(packed)
    if form != _FORM:
        raise StateFormError("break-glass uses", form)
    uses, reviews, waiting, overdue = ([Moment(*moment) for moment in part] for part in parts)
    return History({use.at // MINUTE: use for use in uses}, reviews, waiting, overdue)
