"""On-call rotations: each Monday the team's on-call role passes to the next member."""

from collections.abc import Iterable

from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE, hour_of
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.stage import Duty, Stage
from keytrail.schemas.records import Micros

_WEEK = 7 * DAY
# A rotation costs about fifty events; a small simulation can afford only a few.
_EVENTS_A_TEAM = 2_000
_LEAST = 2


def plan_rotations(stage: Stage, steady: Iterable[Member], events: int) -> None:
    """Rotations among the steady people whose keys may be used at night."""
    by_team: dict[str, list[Member]] = {}
    for member in steady:
        if member.is_human and not member.is_contractor:
            by_team.setdefault(member.team.name, []).append(member)
    for members in [m for m in by_team.values() if len(m) >= _LEAST][: events // _EVENTS_A_TEAM]:
        _rotate(stage, members)


def _rotate(stage: Stage, members: list[Member]) -> None:
    """The old one gives the role back some minutes before the new one gets it."""
    role = members[0].team.roles.on_call
    previous: Member | None = None
    for week, day in enumerate(stage.calendar.mondays()):
        member = members[week % len(members)]
        at = Micros(stage.calendar.at(day, 10) + stage.rng.randint(20, 40) * MINUTE)
        if previous is not None:
            stage.tell(
                stage.scribe.change(
                    Micros(at - 10 * MINUTE), "revoke", previous, role=role, reason="end of the on-call week"
                )
            )
        stage.tell(
            stage.scribe.change(
                at,
                "grant",
                member,
                role=role,
                reason="on call this week",
                approved_by=stage.company.approver_for(member).name,
                expires_at=Micros(at + _WEEK),
            )
        )
        duty_at = Micros(hour_of(at, stage.calendar.begin) + HOUR)
        stage.plan.duties.append(Duty(duty_at, member.team.name, member.number))
        previous = member
