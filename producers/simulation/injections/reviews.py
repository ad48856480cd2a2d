"""Emergency keys that are used, and whether anybody looks into it afterwards."""

from dataclasses import replace

from keytrail.producers.simulation.calendar import HOUR
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.keys import Scope
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros
from keytrail.schemas.triage import CLOSE, anomaly_id, attributes, resource_of

_USE = "break_glass_use"
_IN_TIME, _TOO_LATE = 20 * HOUR, 50 * HOUR


def never_reviewed(stage: Stage, day: int) -> None:
    key, events = _glass_is_broken(stage, day)
    _expect(stage, key, events, "and nobody looked into it")


def reviewed_too_late(stage: Stage, day: int) -> None:
    key, [use] = _glass_is_broken(stage, day)
    review_of(stage, key, use, _TOO_LATE)
    _expect(stage, key, [use], "and it was two days until somebody looked into it")


def used_again_after_the_review(stage: Stage, day: int) -> None:
    key, [use] = _glass_is_broken(stage, day)
    review = review_of(stage, key, use)
    again = stage.scribe.use(Micros(review.occurred_at + HOUR), newcomer(stage), key_id=key.key_id)
    _expect(stage, key, [use, again], "the second time nobody looked into it")


def reviewed_in_time(stage: Stage, day: int) -> None:
    key, [use] = _glass_is_broken(stage, day)
    review_of(stage, key, use, _IN_TIME)
    stage.expect(_USE, "key", key.key_id, "", [use], "an emergency key was used")
    stage.spare("break_glass_unreviewed", "key", key.key_id, "", [use], "looked into within a day")


def review_of(stage: Stage, key: Key, use: Event, after: int = HOUR) -> Event:
    """So long after the use somebody closes the finding that it gave."""
    reviewer = newcomer(stage)
    own = stage.further_key(reviewer, "for those who look at findings", scope=Scope(actions=(CLOSE,)))
    finding = {"rule": _USE, "entity_type": "key", "entity": key.key_id, "cause": ""}
    review = stage.scribe.event(
        Micros(use.occurred_at + after),
        CLOSE,
        reviewer,
        service="keytrail",
        key_id=own.key_id,
        resource=resource_of(anomaly_id(**finding)),
        reason="agreed with the owner",
    )
    said = attributes(**finding, count=1, severity="high")
    review = replace(review, attributes={**review.attributes, **said})
    stage.tell(review)
    return review


def _glass_is_broken(stage: Stage, day: int) -> tuple[Key, list[Event]]:
    member = stage.claim(candidates.person)
    key = stage.further_key(member, "emergency access, kept in the safe", break_glass=True)
    return key, [stage.scribe.use(stage.moment(day), member, key_id=key.key_id)]


def _expect(stage: Stage, key: Key, events: list[Event], note: str) -> None:
    for rule in (_USE, "break_glass_unreviewed"):
        stage.expect(rule, "key", key.key_id, "", events, f"an emergency key was used, {note}")
