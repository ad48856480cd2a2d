"""Services whose reports cease."""

from keytrail.producers.simulation.calendar import HOUR
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Micros

_PACE = 8  # hours between two reports
_KNOWN = 23  # reports of a service that is known well enough, in a week and a bit
_FEW = 12
_DAYS = 10  # that all of it takes


def stopped_for_good(stage: Stage, day: int) -> None:
    _expect(stage, _reports(stage, day, _regular(_KNOWN)), "a service that reported thrice a day stopped")


def stopped_for_two_days(stage: Stage, day: int) -> None:
    hours = [*_regular(_KNOWN), _PACE * (_KNOWN - 1) + 48]
    _expect(stage, _reports(stage, day, hours), "a service that reports thrice a day did not for two days")


def late_by_half_a_day(stage: Stage, day: int) -> None:
    hours = _regular(_KNOWN)
    later = [*hours, hours[-1] + 20]
    _spare(stage, _reports(stage, day, later), "twenty hours are less than thrice its longest rest")


def hardly_known(stage: Stage, day: int) -> None:
    _spare(stage, _reports(stage, day, _regular(_FEW)), "it had reported for four days alone")


def never_regular(stage: Stage, day: int) -> None:
    hours = [48 * day + hour for day in range(4) for hour in range(6)]
    _spare(stage, _reports(stage, day, hours), "it rested for two days now and then")


def _regular(reports: int) -> list[int]:
    return [_PACE * number for number in range(reports)]


def _reports(stage: Stage, day: int, hours: list[int]) -> list[Event]:
    member = newcomer(stage, candidates.service)
    key = stage.further_key(member, "for the new project")
    begin = stage.moment(begin_of(day, _DAYS))
    return [
        stage.scribe.event(
            Micros(begin + hour * HOUR),
            "use",
            member,
            service=f"{member.team.name}-gateway",
            key_id=key.key_id,
            source_ip=member.addresses[0],
        )
        for hour in hours
    ]


def _expect(stage: Stage, events: list[Event], note: str) -> None:
    stage.expect("audit_silence", "service", events[0].service, "", events, note)


def _spare(stage: Stage, events: list[Event], note: str) -> None:
    stage.spare("audit_silence", "service", events[0].service, "", events, note)
