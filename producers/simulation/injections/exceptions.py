"""Exceptions of the company's own policy: some are over, and what they covered is still so."""

from keytrail.producers.simulation.injections.environments import in_production
from keytrail.producers.simulation.policy import EXPORTS, PIPELINES, Excepted
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event

# The worker's clock judges, wherever the company's half year lies: no clock that is right shows an earlier
# day than the one, or a later one than the other.
_OVER, _LONG_OVER = "2020-12-31", "2019-12-31"
_NOT_OVER = "2999-12-31"
_COVERED = "toxic_combination"


def over(stage: Stage, day: int) -> None:
    subject, events = _still_so(stage, day)
    _except(stage, subject, _OVER)
    _expect(stage, subject, events, "its exception is over")


def over_by_patterns(stage: Stage, day: int) -> None:
    subject, events = _still_so(stage, day)
    _except(stage, subject.removesuffix("one") + "*", _LONG_OVER, cause="*")
    _except(stage, subject, _OVER)
    _expect(stage, subject, events, "two exceptions cover it, by its name and by a pattern; both are over")


def not_over(stage: Stage, day: int) -> None:
    subject, events = _still_so(stage, day)
    _except(stage, subject, _NOT_OVER)
    _spare(stage, subject, events, "its exception is not over")


def renewed(stage: Stage, day: int) -> None:
    subject, events = _still_so(stage, day)
    _except(stage, subject, _OVER)
    _except(stage, subject, _NOT_OVER)
    _spare(stage, subject, events, "one exception is over, and another holds")


def over_for_another_cause(stage: Stage, day: int) -> None:
    subject, events = _still_so(stage, day)
    _except(stage, subject, _OVER, cause=PIPELINES.name)
    _spare(stage, subject, events, "the exception that is over was for another cause")


def _still_so(stage: Stage, day: int) -> tuple[str, list[Event]]:
    """Somebody who holds two roles that are apart, and keeps them."""
    subject, events = in_production(stage, day)
    stage.expect(_COVERED, "subject", subject, EXPORTS.name, events, "both in production, with an exception")
    return subject, events


def _except(stage: Stage, entity: str, until: str, cause: str = EXPORTS.name) -> None:
    stage.plan.exceptions.append(Excepted(_COVERED, entity, cause, until))


def _expect(stage: Stage, subject: str, events: list[Event], note: str) -> None:
    stage.expect("expired_exception", "subject", subject, f"{_COVERED} {EXPORTS.name}", events, note)


def _spare(stage: Stage, subject: str, events: list[Event], note: str) -> None:
    stage.spare("expired_exception", "subject", subject, f"{_COVERED} {EXPORTS.name}", events, note)
