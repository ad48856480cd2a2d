"""Policies of production that are changed when they are to be changed, and when they are not."""

from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.reviews import review_of
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros

_WINDOW = "production policies"  # of the built-in policy: Monday to Friday, 06:00 to 20:00 UTC
_NIGHT, _NOON = 2, 13  # hours in Berlin


def on_a_weekend(stage: Stage, day: int) -> None:
    _expect(stage, stage.calendar.at(stage.calendar.weekend(day), _NOON, 20), "on a Saturday")


def at_night(stage: Stage, day: int) -> None:
    _expect(stage, stage.calendar.at(stage.calendar.workday(day), _NIGHT, 20), "at night")


def within_the_window(stage: Stage, day: int) -> None:
    _spare(stage, stage.moment(day), "at work")


def in_staging(stage: Stage, day: int) -> None:
    at = stage.calendar.at(stage.calendar.weekend(day), _NOON, 25)
    _spare(stage, at, "on a Saturday, in staging", environment="staging")


def in_an_emergency(stage: Stage, day: int) -> None:
    at = stage.calendar.at(stage.calendar.weekend(day), _NOON, 30)
    _spare(
        stage, at, "on a Saturday, with an incident's ticket", ticket=f"INC-{stage.rng.randint(1_000, 9_999)}"
    )


def refused_at_night(stage: Stage, day: int) -> None:
    at = stage.calendar.at(stage.calendar.workday(day), _NIGHT, 35)
    _spare(stage, at, "at night, and refused", outcome="denied")


def with_a_break_glass_key(stage: Stage, day: int) -> None:
    at = stage.calendar.at(stage.calendar.weekend(day), _NOON, 35)
    member = _somebody(stage, "production")
    key = stage.further_key(member, "emergency access, kept in the safe", break_glass=True)
    event = _change(stage, at, member, key_id=key.key_id)
    review_of(stage, key, event)
    stage.expect("break_glass_use", "key", key.key_id, "", [event], "an emergency key was used")
    stage.spare("outside_change_window", "subject", member.name, _WINDOW, [event], "with the emergency key")


def _expect(stage: Stage, at: Micros, note: str) -> None:
    event = _change(stage, at, _somebody(stage, "production"))
    stage.expect("outside_change_window", "subject", event.actor_id, _WINDOW, [event], note)


def _spare(
    stage: Stage,
    at: Micros,
    note: str,
    *,
    environment: str = "production",
    ticket: str | None = None,
    outcome: str = "success",
) -> None:
    member = _somebody(stage, environment)
    event = _change(stage, at, member, environment=environment, ticket=ticket, outcome=outcome)
    stage.spare("outside_change_window", "subject", event.actor_id, _WINDOW, [event], note)


def _somebody(stage: Stage, environment: str) -> Member:
    return stage.claim(lambda member: candidates.person(member) and environment in member.environments)


def _change(
    stage: Stage,
    at: Micros,
    actor: Member,
    *,
    key_id: str | None = None,
    environment: str = "production",
    ticket: str | None = None,
    outcome: str = "success",
) -> Event:
    return stage.scribe.event(
        at,
        "update_policy",
        actor,
        service="cloud-iam",
        key_id=key_id or actor.key_id,
        environment=environment,
        resource=f"policy/{actor.team.name}",
        source_ip=actor.addresses[0],
        reason=stage.scribe.reason(),
        ticket=ticket,
        outcome=outcome,
        error=None if outcome == "success" else "access denied",
    )
