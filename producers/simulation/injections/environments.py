"""Duties that the company's own policy keeps apart in one environment, or within each."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.policy import EXPORTS, PIPELINES, Apart
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros

_PRODUCTION, _STAGING = "production", "staging"


def exports_in_production(stage: Stage, day: int) -> None:
    subject, events = in_production(stage, day)
    stage.expect("toxic_combination", "subject", subject, EXPORTS.name, events, "both in production")


def pipelines_in_staging(stage: Stage, day: int) -> None:
    subject, events = _both_sides(stage, day, PIPELINES, _STAGING, _STAGING)
    stage.expect("toxic_combination", "subject", subject, PIPELINES.name, events, "both in staging")


def exports_in_staging(stage: Stage, day: int) -> None:
    subject, events = _both_sides(stage, day, EXPORTS, _STAGING, _STAGING)
    note = "kept apart in production alone"
    stage.spare("toxic_combination", "subject", subject, EXPORTS.name, events, note)


def exports_in_two_environments(stage: Stage, day: int) -> None:
    subject, events = _both_sides(stage, day, EXPORTS, _PRODUCTION, _STAGING)
    stage.spare("toxic_combination", "subject", subject, EXPORTS.name, events, "one of them in staging")


def pipelines_in_two_environments(stage: Stage, day: int) -> None:
    subject, events = _both_sides(stage, day, PIPELINES, _STAGING, _PRODUCTION)
    stage.spare("toxic_combination", "subject", subject, PIPELINES.name, events, "one in each environment")


def in_production(stage: Stage, day: int) -> tuple[str, list[Event]]:
    """Somebody who is granted what makes exports and what checks them."""
    return _both_sides(stage, day, EXPORTS, _PRODUCTION, _PRODUCTION)


def _both_sides(stage: Stage, day: int, apart: Apart, one: str, other: str) -> tuple[str, list[Event]]:
    """Somebody who is granted both on two days, in these environments."""
    member, at = newcomer(stage), stage.moment(day)
    team = member.team.name
    sides = ((apart.first, one, at - DAY), (apart.second, other, at))
    return member.name, [
        stage.scribe.change(
            Micros(moment),
            "grant",
            member,
            role=Role(f"{team}-{kind}", [f"{team}.{kind}.use"], f"{team}-api", ()),
            environment=environment,
            reason=stage.scribe.reason(),
            ticket=stage.scribe.ticket(),
        )
        for kind, environment, moment in sides
    ]
