"""Access changes that say why, and those that do not."""

from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage


def grant_without(stage: Stage, day: int) -> None:
    _grant(stage, day, "a grant without reason or ticket")


def reason_alone(stage: Stage, day: int) -> None:
    _grant(stage, day, "a reason and no ticket", reason=stage.scribe.reason(), due=False)


def ticket_alone(stage: Stage, day: int) -> None:
    _grant(stage, day, "a ticket and no reason", ticket=stage.scribe.ticket(), due=False)


def failed_without(stage: Stage, day: int) -> None:
    _grant(stage, day, "neither, but nothing was changed", outcome="failure", due=False)


def _grant(
    stage: Stage,
    day: int,
    note: str,
    *,
    reason: str | None = None,
    ticket: str | None = None,
    outcome: str = "success",
    due: bool = True,
) -> None:
    """One colleague lends another a role of that one's team."""
    actor, subject = stage.claim(candidates.person), stage.claim(candidates.person)
    event = stage.scribe.change(
        stage.moment(day),
        "grant",
        subject,
        actor=actor,
        role=stage.rng.choice(subject.team.roles.temporary),
        reason=reason,
        ticket=ticket,
        outcome=outcome,
    )
    label = stage.expect if due else stage.spare
    label("missing_reason", "key", actor.key_id, "", [event], note)


def rotation_without(stage: Stage, day: int) -> None:
    actor = stage.claim(candidates.person)
    event = stage.scribe.change(stage.moment(day), "rotate_key", actor, actor=actor)
    stage.expect("missing_reason", "key", actor.key_id, "", [event], "a rotation without reason or ticket")


def without_key(stage: Stage, day: int) -> None:
    """No key is stated either: the finding is about the service that reports it."""
    member = stage.claim(candidates.service)
    event = stage.scribe.event(
        stage.moment(day),
        "suspend_key",
        member,
        service=member.name,
        subject=member.name,
        environment=member.environments[0],
        source_ip=member.addresses[0],
    )
    stage.expect("missing_reason", "service", member.name, "", [event], "neither reason nor key is stated")
