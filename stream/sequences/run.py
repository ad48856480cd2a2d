"""One run of a producer: which of its numbers are missing.

Numbers may come in any order, as long as an hour is decided on when all that came in it, and in the hours
that are allowed for what is late, is there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from keytrail.schemas.records import ToldLoss
from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.detections.sequence_holes import RunHoles
from keytrail.stream.errors import StateFormError
from keytrail.stream.sequences.bitmaps import above, highest, lowest, ranges, without

NOT_YET = -1
LEAP = 1 << 24  # more than a spool of some gigabytes loses at once
_MOST_HOLES = 1_000
_MOST_WHYS = 10
# Hours that wait to be decided on: where a partition holds them back, they come without end.
_MOST_HOURS = 2_000
_FORM = 1  # of the packed state

Block = dict[int, int]  # the bits of numbers that came in an hour, by hour


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


class Teller(NamedTuple):
    """The policy that counts for an hour: of the first partition that told of it."""

    partition: int
    policy: str


@dataclass(slots=True)
class Run:
    """Of the numbers up to `floor` those in `holes` are missing, and `dropped` more that are kept no longer.

    `hours` are those in which numbers came, and that are not decided on yet.  `named` is the hour and the
    number by which the run is the service's.  `telling` are losses told in an hour that is not over.
    `counts`: of the numbers above `floor` all that came are known; up to the hour `blind` some are not.
    """

    service: str = ""
    named: tuple[int, int] | None = None
    floor: int = NOT_YET
    counts: bool = False
    blind: int = NOT_YET
    latest: int = NOT_YET
    hours: dict[int, Teller] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)
    dropped: int = 0
    strays: Strays = _NO_STRAYS
    told: dict[str, ToldLoss] = field(default_factory=dict)
    telling: list[tuple[int, ToldLoss]] = field(default_factory=list)

    def came(self, hour: int, teller: Teller) -> None:
        """Numbers came in this hour."""
        self.latest = max(self.latest, hour)
        known = self.hours.get(hour)
        if known is None or teller.partition < known.partition:
            self.hours[hour] = teller
            if len(self.hours) > _MOST_HOURS:
                # What came in it is decided on with the next one.
                del self.hours[min(self.hours)]

    def name(self, service: str, hour: int, number: int) -> None:
        """The run is that of the service whose number came first, and among those of the lowest."""
        if self.named is None or (hour, number, service) < (*self.named, self.service):
            self.service, self.named = service, (hour, number)

    def tell(self, hour: int, loss: ToldLoss) -> None:
        """The loss was told in this hour; each telling of a cause counts from the beginning."""
        known = [(at, one) for at, one in self.telling if at == hour and one.why == loss.why]
        if known:
            self.telling.remove(known[0])
            loss = max(known[0][1], loss, key=lambda one: (one.count, one.last, one.first))
        elif len(self.telling) >= _MOST_HOURS:
            return
        self.telling.append((hour, loss))

    @property
    def missing(self) -> int:
        return self.dropped + sum(hole.last - hole.first + 1 for hole in self.holes)

    def lacks(self, producer_id: str) -> RunHoles | None:
        missing = self.missing
        strays = self.strays
        if not missing and not strays.many:
            return None
        hours = [hole.hour for hole in self.holes] + [strays.hour] * bool(strays.many)
        return RunHoles(
            producer_id,
            missing,
            first=self.holes[0].first if self.holes else 0,
            last=self.holes[-1].last if self.holes else 0,
            told=min(missing, sum(loss.count for loss in self.told.values())),
            stray=strays.many,
            first_stray=strays.first,
            since=min(hours, default=self.latest),
            until=max(hours, default=self.latest),
        )

    def decide(self, blocks: dict[int, Block], hour: int, until: int, begin: int, began: int | None) -> bool:
        """Decide on what came in `hour` and before; all is there that came up to the hour `until`.

        What is decided on is taken out of the blocks.  Up to the hour `begin` numbers may not have been told.
        `began`: in which one the run began, where it has not been forgotten since.  True where what it lacks
        is another now.
        """
        del self.hours[hour]
        before = (list(self.holes), self.dropped, self.strays)
        self._hear(until)
        seen, begin = _seen(blocks, until), max(begin, self.blind)
        if not self.counts:
            self._begin(seen, is_whole=began is not None and began > begin)
        self.counts = hour > begin
        top = self._top(_seen(blocks, hour))
        came = list(ranges(seen))
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

    def _begin(self, seen: Mapping[int, int], *, is_whole: bool) -> None:
        """Count from 1, or from the next number that came: what is before it may have come untold."""
        if is_whole:
            self.floor = max(self.floor, 0)
            return
        nexts = [
            lowest(block, bits) for block, some in seen.items() if (bits := above(block, some, self.floor))
        ]
        if not nexts:
            # Of a run that is wholly lost nothing comes but that.
            losses = [loss for loss in self.told.values() if loss.last > self.floor]
            nexts = [loss.first if _is_dense(loss) else loss.last + 1 for loss in losses]
        if nexts:
            self.floor = min(nexts) - 1

    def _hear(self, until: int) -> None:
        for hour, loss in sorted(self.telling, key=lambda each: (each[0], each[1].why)):
            known = self.told.get(loss.why)
            if hour <= until and (known is not None or len(self.told) < _MOST_WHYS):
                self.told[loss.why] = max(
                    known or loss, loss, key=lambda one: (one.count, one.last, one.first)
                )
        self.telling = [(hour, loss) for hour, loss in self.telling if hour > until]

    def _top(self, blocks: Mapping[int, int]) -> int:
        """The highest number that was given out, as far as those that came or were told as lost lead."""
        top = self.floor
        steps = [(lowest(block, bits), highest(block, bits)) for block, bits in blocks.items()]
        steps += [(loss.last, loss.last) for loss in self.told.values()]
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


def _is_dense(loss: ToldLoss) -> bool:
    """All numbers from its first to its last are lost."""
    return loss.count > loss.last - loss.first


def began(producer_id: str) -> int | None:
    """The hour in which the run began, where its id ends in a UUID that tells it."""
    try:
        made = UUID(producer_id[-36:])
    except ValueError:
        return None
    return (made.int >> 80) * 1_000 // HOUR if made.version == 7 else None


def _seen(blocks: Mapping[int, Block], until: int) -> dict[int, int]:
    """The bits of numbers that came up to this hour."""
    seen = {}
    for number, block in blocks.items():
        bits = 0
        for hour, some in block.items():
            if hour <= until:
                bits |= some
        if bits:
            seen[number] = bits
    return seen


def pack(run: Run) -> bytes:
    """As stored; see `unpack`."""
    fields = [
        *(run.service, run.named, run.floor, run.counts, run.blind, run.latest),
        [(hour, *teller) for hour, teller in run.hours.items()],
        *(run.holes, run.dropped, run.strays),
        [_plain(loss) for loss in run.told.values()],
        [(hour, *_plain(loss)) for hour, loss in run.telling],
    ]
    return json.dumps([_FORM, *fields], separators=(",", ":")).encode()


def _plain(loss: ToldLoss) -> tuple[str, int, int, int]:
    return loss.why, loss.count, loss.first, loss.last


def unpack(packed: bytes) -> Run:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("run of a producer", form)
    service, named, floor, counts, blind, latest, hours, holes, dropped, strays, told, telling = fields
    return Run(
        service=service,
        named=None if named is None else (named[0], named[1]),
        floor=floor,
        counts=counts,
        blind=blind,
        latest=latest,
        hours={hour: Teller(*teller) for hour, *teller in hours},
        holes=[Hole(*hole) for hole in holes],
        dropped=dropped,
        strays=Strays(*strays),
        told={loss[0]: ToldLoss(*loss) for loss in told},
        telling=[(hour, ToldLoss(*loss)) for hour, *loss in telling],
    )


def pack_block(block: Block) -> bytes:
    """As stored; see `unpack_block`."""
    items = [(hour, f"{bits:x}") for hour, bits in block.items()]
    return json.dumps([_FORM, items], separators=(",", ":")).encode()


def unpack_block(packed: bytes) -> Block:
    form, items = json.loads(packed)
    if form != _FORM:
        raise StateFormError("numbers of a run", form)
    return {hour: int(bits, 16) for hour, bits in items}
