"""Keys that are refused again and again, and are let in after that or not."""

from keytrail.producers.simulation.calendar import HOUR, SECOND
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros

_MANY, _FEW = 12, 9  # on both sides of what the rule bears in half an hour
_APART = 20 * SECOND


def let_in_at_last(stage: Stage, day: int) -> None:
    key, events = _tries(stage, day, _MANY, then=_APART)
    stage.expect("denials_then_success", "key", key.key_id, "use", events, "refused often, then let in")


def signed_in_at_last(stage: Stage, day: int) -> None:
    key, events = _tries(stage, day, _MANY, then=_APART, action="login", outcome="failure")
    stage.expect(
        "denials_then_success", "key", key.key_id, "login", events, "sign-ins failed, then one passed"
    )


def few_refusals(stage: Stage, day: int) -> None:
    key, events = _tries(stage, day, _FEW, then=_APART)
    stage.spare("denials_then_success", "key", key.key_id, "use", events, "refused less often")


def let_in_much_later(stage: Stage, day: int) -> None:
    key, events = _tries(stage, day, _MANY, then=2 * HOUR)
    stage.spare("denials_then_success", "key", key.key_id, "use", events, "let in two hours later")


def failures(stage: Stage, day: int) -> None:
    key, events = _tries(stage, day, _MANY, then=_APART, outcome="failure")
    stage.spare("denials_then_success", "key", key.key_id, "use", events, "failures, and no refusals")


def _tries(
    stage: Stage, day: int, many: int, *, then: int, action: str = "use", outcome: str = "denied"
) -> tuple[Key, list[Event]]:
    member = newcomer(stage)
    key, at = stage.further_key(member, "for the new project"), stage.moment(day)
    times = [Micros(at + number * _APART) for number in range(many)]
    tries = [
        stage.scribe.use(time, member, action=action, key_id=key.key_id, outcome=outcome) for time in times
    ]
    return key, [*tries, stage.scribe.use(Micros(times[-1] + then), member, action=action, key_id=key.key_id)]
