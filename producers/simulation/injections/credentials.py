"""Credentials issued in another's name, and changes of who may take on a role."""

from keytrail.producers.simulation.ids import hex_digits
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event

_CREDENTIALS = ("access-key", "login-profile", "api-token")
_TRUST_BEFORE = '{"trusted": ["deploy"]}'
_TRUST_AFTER = '{"trusted": ["deploy", "external-account"]}'


def key_for_other(stage: Stage, day: int) -> None:
    _for_other(stage, day, stage.rng.choice(_CREDENTIALS))


def unnamed_key_for_other(stage: Stage, day: int) -> None:
    _for_other(stage, day, None)


def _for_other(stage: Stage, day: int, resource: str | None) -> None:
    actor, subject = stage.claim(candidates.person), stage.claim(candidates.person)
    event = stage.scribe.change(
        stage.moment(day),
        "issue_key",
        subject,
        actor=actor,
        resource=resource,
        reason=stage.scribe.reason(),
    )
    stage.expect(
        "key_for_other",
        "subject",
        subject.name,
        resource or "key",
        [event],
        f"issued by {actor.name}, whose key does not list issue_key",
    )


def key_by_identity(stage: Stage, day: int) -> None:
    subject = stage.claim(candidates.person)
    resource = stage.rng.choice(_CREDENTIALS)
    event = stage.scribe.change(
        stage.moment(day), "issue_key", subject, resource=resource, reason="new laptop"
    )
    stage.spare(
        "key_for_other",
        "subject",
        subject.name,
        resource,
        [event],
        "issued by the identity service, whose key lists issue_key",
    )


def key_for_oneself(stage: Stage, day: int) -> None:
    actor = stage.claim(candidates.person)
    event = stage.scribe.change(stage.moment(day), "issue_key", actor, actor=actor, reason="new laptop")
    stage.spare("key_for_other", "subject", actor.name, "key", [event], "issued by its owner")


def key_for_other_denied(stage: Stage, day: int) -> None:
    actor, subject = stage.claim(candidates.person), stage.claim(candidates.person)
    event = stage.scribe.change(
        stage.moment(day), "issue_key", subject, actor=actor, reason="help for a colleague", outcome="denied"
    )
    stage.spare("key_for_other", "subject", subject.name, "key", [event], "refused")


def trust_changed(stage: Stage, day: int) -> None:
    event = _change_trust(stage, day, "success")
    stage.expect("trust_change", "subject", event.whose, "", [event], "an outside account was let in")


def trust_change_denied(stage: Stage, day: int) -> None:
    event = _change_trust(stage, day, "denied")
    stage.spare("trust_change", "subject", event.whose, "", [event], "refused")


def _change_trust(stage: Stage, day: int, outcome: str) -> Event:
    actor = stage.claim(candidates.person)
    return stage.scribe.event(
        stage.moment(day),
        "update_trust",
        actor,
        service="cloud-iam",
        key_id=actor.key_id,
        subject=f"{actor.team.name}-deploy-role-{hex_digits(stage.rng, 6)}",
        environment=actor.environments[0],
        source_ip=actor.addresses[0],
        reason=stage.scribe.reason(),
        ticket=stage.scribe.ticket(),
        outcome=outcome,
        error="access denied" if outcome == "denied" else None,
        before=_TRUST_BEFORE,
        after=_TRUST_AFTER if outcome == "success" else _TRUST_BEFORE,
    )
