"""Keys that work and are used as they should not be; and clocks that go wrong."""

from keytrail.producers.simulation.calendar import MINUTE
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros

_AHEAD = 10 * MINUTE
_LITTLE_AHEAD = MINUTE


def ordinary_key_used_like_it(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event = stage.scribe.use(stage.moment(day), member)
    stage.spare("break_glass_use", "key", member.key_id, "", [event], "an ordinary key of the same person")


def signed_in_as_a_service(stage: Stage, day: int) -> None:
    _sign_in(stage, day, "success")


def signing_in_as_a_service_refused(stage: Stage, day: int) -> None:
    _sign_in(stage, day, "denied")


def _sign_in(stage: Stage, day: int, outcome: str) -> None:
    member = stage.claim(candidates.service)
    key = stage.further_key(member, "for the nightly batch")
    event = stage.scribe.use(stage.moment(day), member, action="login", key_id=key.key_id, outcome=outcome)
    stage.expect("interactive_service_key", "key", key.key_id, "", [event], f"a sign-in: {outcome}")


def service_calls(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.service)
    event = stage.scribe.use(stage.moment(day), member)
    stage.spare("interactive_service_key", "key", member.key_id, "", [event], "a call, as services make")


def clock_ahead(stage: Stage, day: int) -> None:
    event = _skewed(stage, day, _AHEAD)
    stage.expect("clock_skew", "service", event.service, "", [event], "ten minutes ahead")


def clock_a_little_ahead(stage: Stage, day: int) -> None:
    event = _skewed(stage, day, _LITTLE_AHEAD)
    stage.spare("clock_skew", "service", event.service, "", [event], "a minute ahead")


def _skewed(stage: Stage, day: int, ahead: int) -> Event:
    member = stage.claim(candidates.service)
    at = stage.moment(day)
    return stage.scribe.event(
        at,
        "use",
        member,
        service=f"{member.name}-sidecar",
        key_id=member.key_id,
        environment=member.environments[0],
        source_ip=member.addresses[0],
        recorded_at=Micros(at - ahead),
    )
