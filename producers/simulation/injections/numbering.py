"""Producers of which some numbers never come."""

from collections.abc import Sequence
from dataclasses import replace

from keytrail.producers.simulation import ids
from keytrail.producers.simulation.calendar import HOUR, MINUTE
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Micros

_PACE = 8  # hours between two events: so few that nobody misses the service
_DAYS = 6  # that all of it takes


def some_never_came(stage: Stage, day: int) -> None:
    numbers = [1, 2, 3, 4, 7, 8, 10, 11]
    _expect(stage, _Producer(stage, day).run(numbers), "three numbers of a run never came")


def first_ones_never_came(stage: Stage, day: int) -> None:
    _expect(stage, _Producer(stage, day).run(range(4, 11)), "the first three numbers of a run never came")


def told_as_lost(stage: Stage, day: int) -> None:
    events = _Producer(stage, day).run([1, 2, 3, 7, 8])
    lost = {"producer_id": events[0].producer_id, "count": "3", "first": "4", "last": "6", "why": "full"}
    told = replace(
        events[-1],
        action="audit_loss",
        outcome="failure",
        error="the queue is full",
        attributes=events[-1].attributes | lost,
    )
    _expect(stage, [*events[:-1], told], "the producer told that three of its events are lost")


def started_anew(stage: Stage, day: int) -> None:
    producer = _Producer(stage, day)
    later = [_PACE * (6 + place) for place in range(4)]
    events = [*producer.run(range(1, 6)), *producer.run(range(1, 5), hours=later)]
    _spare(stage, events, "its process was started anew, and began with 1")


def late_in_time(stage: Stage, day: int) -> None:
    # The fourth came an hour and a half after the one that follows it.
    hours = [_PACE * place + (_PACE + 1.5) * (place == 3) for place in range(8)]
    events = _Producer(stage, day).run(range(1, 9), hours=hours)
    _spare(stage, events, "one came late, and within the hours allowed")


def about_many(stage: Stage, day: int) -> None:
    producer = _Producer(stage, day)
    names = [f"{producer.service}-{number}" for number in range(1, 13)]
    _spare(
        stage,
        producer.run(range(1, 13), subjects=names),
        "its numbers lie in all partitions, and none is missing",
    )


class _Producer:
    """A service of a project, which numbers its events."""

    def __init__(self, stage: Stage, day: int) -> None:
        self._stage = stage
        self._member = newcomer(stage, candidates.service)
        self._key_id = stage.further_key(self._member, "for the new project").key_id
        self._begin = stage.moment(begin_of(day, _DAYS))
        self.service = f"{self._member.team.name}-ledger"

    def run(
        self, numbers: Sequence[int], *, subjects: Sequence[str] = (), hours: Sequence[float] = ()
    ) -> list[Event]:
        """A run with these numbers, so many hours after the producer's begin, about these subjects."""
        times = [
            Micros(self._begin + int((hours[place] if hours else _PACE * place) * HOUR))
            for place in range(len(numbers))
        ]
        run = ids.event_id(Micros(min(times) - MINUTE), ids.hex_digits(self._stage.rng, ids.EVENT_ID_DIGITS))
        return [
            replace(
                self._stage.scribe.event(
                    at,
                    "use",
                    self._member,
                    service=self.service,
                    key_id=self._key_id,
                    subject=subjects[place] if subjects else None,
                    source_ip=self._member.addresses[0],
                ),
                producer_id=f"{self.service}:{run}",
                sequence=number,
            )
            for place, (number, at) in enumerate(zip(numbers, times, strict=True))
        ]


def _expect(stage: Stage, events: list[Event], note: str) -> None:
    stage.expect("sequence_holes", "service", events[0].service, "", events, note)


def _spare(stage: Stage, events: list[Event], note: str) -> None:
    stage.spare("sequence_holes", "service", events[0].service, "", events, note)
