"""One run of a producer: which of its numbers are missing.

Numbers may come in any order, as long as an hour is decided on when all that came in it, and in the hours
that are allowed for what is late, is there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.detections.sequence_holes import RunHoles
from keytrail.stream.errors import StateFormError
from keytrail.stream.sequences.bitmaps import above, highest, lowest, ranges, without
from keytrail.stream.sequences.losses import Losses, is_dense, losses_of
from keytrail.stream.sequences.waiting import Block, seen

NOT_YET = -1
WINDOW = 28 * 24  # hours of rest after which a run is forgotten
LEAP = 1 << 24  # more than a spool of some gigabytes loses at once
_MOST_HOLES = 1_000
# Hours that wait to be decided on: where a partition holds them back, they come without end.
_MOST_HOURS = 1_000
_FORM = 1  # of the packed state


class Hole(NamedTuple):
    """Numbers that are missing, and the hour in which a higher one came."""

    first: int
    last: int
    hour: int


class Strays(NamedTuple):
    """How many numbers were far ahead of the others, the lowest of them, and the latest hour of one."""

    many: int
    first: int
    hour: int


_NO_STRAYS = Strays(0, 0, NOT_YET)


class Came(NamedTuple):
    """In an hour numbers came: the lowest of them, and the service of which that is.

    The policy that counts is the one of the first partition that told of the hour.
    """

    partition: int
    policy: str
    number: int
    service: str

    def first_of(self, other: "Came") -> "Came":
        """Both are of one hour; of partitions alike, the one that told of it before."""
        told = other if other.partition < self.partition else self
        first = other if (other.number, other.service) < (self.number, self.service) else self
        return told if told is first else Came(told.partition, told.policy, first.number, first.service)


@dataclass(slots=True)
class Run:
    """Of the numbers up to `floor` those in `holes` are missing, and `dropped` more that are kept no longer.

    `hours` are those in which numbers came, and that are not decided on yet; they may be far ahead of the
    latest that is, `decided`.  The run is that of the service whose number came first, and among those of
    the lowest.  `counts`: of the numbers above `floor` all that came are known; up to the hour `blind` some
    are not.
    """

    service: str = ""
    floor: int = NOT_YET
    counts: bool = False
    blind: int = NOT_YET
    decided: int = NOT_YET
    hours: dict[int, Came] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)
    dropped: int = 0
    strays: Strays = _NO_STRAYS
    losses: Losses = field(default_factory=Losses)

    def came(self, hour: int, came: Came) -> None:
        """Numbers came in this hour, or are told to be lost."""
        known = self.hours.get(hour)
        if known is not None:
            came = known.first_of(came)
            if came == known:
                return
        self.hours[hour] = came
        if len(self.hours) > _MOST_HOURS:
            # What came in it is decided on with the next one.
            del self.hours[min(self.hours)]
        if self.decided == NOT_YET:
            self.service = self.hours[min(self.hours)].service

    def rests(self, hour: int) -> bool:
        """Nothing came up to this hour that is not decided on; what came later is not known then."""
        return self.decided != NOT_YET and min(self.hours, default=hour + 1) > hour

    def anew(self) -> "Run":
        """The run as one that begins with the hours that are not decided on; there are some."""
        return Run(
            service=self.hours[min(self.hours)].service,
            blind=self.blind,
            hours=self.hours,
            losses=Losses(telling=self.losses.telling),
        )

    def lacks(self, producer_id: str) -> RunHoles | None:
        holes, strays = self.holes, self.strays
        missing = self.dropped + sum(hole.last - hole.first + 1 for hole in holes)
        if not missing and not strays.many:
            return None
        hours = [hole.hour for hole in holes] + [strays.hour] * bool(strays.many)
        return RunHoles(
            producer_id,
            missing,
            first=holes[0].first if holes else 0,
            last=holes[-1].last if holes else 0,
            told=self.losses.among((hole.first, hole.last) for hole in holes),
            stray=strays.many,
            first_stray=strays.first,
            since=min(hours, default=self.decided),
            until=max(hours, default=self.decided),
        )

    def decide(self, blocks: dict[int, Block], hour: int, until: int, begin: int, began: int | None) -> bool:
        """Decide on what came in `hour` and before; all is there that came up to the hour `until`.

        What is decided on is taken out of the blocks.  Up to the hour `begin` numbers may not have been told.
        `began`: in which one the run began, where that is known and nothing of it is forgotten.  True where
        what it lacks is another now.
        """
        del self.hours[hour]
        before = (list(self.holes), self.dropped, self.strays)
        self.decided = max(self.decided, hour)
        self.losses.hear(until)
        came_by, begin = seen(blocks, until), max(begin, self.blind)
        if not self.counts:
            self._begin(came_by, is_whole=began is not None and began > begin)
        self.counts = hour > begin
        top = self._top(seen(blocks, hour))
        came = list(ranges(came_by))
        self.holes = [
            Hole(*left, hole.hour) for hole in self.holes for left in without((hole.first, hole.last), came)
        ]
        if top > self.floor and self.counts:
            self.holes += [Hole(*left, hour) for left in without((self.floor + 1, top), came)]
        self.floor = top
        for hole in self.holes[:-_MOST_HOLES]:
            self.dropped += hole.last - hole.first + 1
        del self.holes[:-_MOST_HOLES]
        self._clear(blocks, hour, until)
        return (self.holes, self.dropped, self.strays) != before

    def _begin(self, came: Mapping[int, int], *, is_whole: bool) -> None:
        """Count from 1, or from the next number that came: what is before it may have come untold."""
        if is_whole:
            self.floor = max(self.floor, 0)
            return
        nexts = [
            lowest(block, bits) for block, some in came.items() if (bits := above(block, some, self.floor))
        ]
        if not nexts:
            # Of a run that is wholly lost nothing comes but that.
            losses = [loss for loss in self.losses.told.values() if loss.last > self.floor]
            nexts = [loss.first if is_dense(loss) else loss.last + 1 for loss in losses]
        if nexts:
            self.floor = min(nexts) - 1

    def _top(self, blocks: Mapping[int, int]) -> int:
        """The highest number that was given out, as far as those that came or were told as lost lead."""
        top = self.floor
        steps = [(lowest(block, bits), highest(block, bits)) for block, bits in blocks.items()]
        steps += [(loss.last, loss.last) for loss in self.losses.told.values()]
        for low, high in sorted(steps):
            if low - top > LEAP:
                break
            top = max(top, high)
        return top

    def _clear(self, blocks: dict[int, Block], hour: int, until: int) -> None:
        for number, block in list(blocks.items()):
            for at in [at for at in block if at <= until]:
                bits = above(number, block.pop(at), self.floor)
                if not bits:
                    continue
                if at > hour:
                    block[at] = bits
                    continue
                low = lowest(number, bits)
                first = min(self.strays.first, low) if self.strays.many else low
                self.strays = Strays(self.strays.many + bits.bit_count(), first, hour)
            if not block:
                del blocks[number]


def began(producer_id: str, first: int) -> int | None:
    """The hour in which a run began whose first number came in the hour `first`, where its id ends in a UUID
    that tells it.

    None where that clock is ahead of the stream's, or the run may have been forgotten since.
    """
    try:
        made = UUID(producer_id[-36:])
    except ValueError:
        return None
    hour = (made.int >> 80) * 1_000 // HOUR
    return hour if made.version == 7 and first - WINDOW < hour <= first else None


def pack(run: Run) -> bytes:
    """As stored; see `unpack`."""
    fields = [
        *(run.service, run.floor, run.counts, run.blind, run.decided),
        [(hour, *came) for hour, came in run.hours.items()],
        *(run.holes, run.dropped, run.strays),
        *run.losses.plain(),
    ]
    return json.dumps([_FORM, *fields], separators=(",", ":"), ensure_ascii=False).encode()


def unpack(packed: bytes) -> Run:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("run of a producer", form)
    service, floor, counts, blind, decided, hours, holes, dropped, strays, told, telling = fields
    return Run(
        service=service,
        floor=floor,
        counts=counts,
        blind=blind,
        decided=decided,
        hours={hour: Came(*came) for hour, *came in hours},
        holes=[Hole(*hole) for hole in holes],
        dropped=dropped,
        strays=Strays(*strays),
        losses=losses_of(told, telling),
    )
