"""People who leave, and keys of theirs that stay."""

from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Micros

_SPAN = 10  # days from the leaving to the last event that matters


def key_in_a_service(stage: Stage, day: int) -> None:
    owner, left = _leave(stage, day)
    key = stage.further_key(owner, "for the nightly export")
    user = stage.claim(candidates.service)
    event = stage.scribe.use(Micros(left.occurred_at + 5 * DAY), user, key_id=key.key_id)
    stage.expect("orphaned_key", "key", key.key_id, "", [left, event], "a service goes on with it")


def key_in_its_owners_name(stage: Stage, day: int) -> None:
    owner, left = _leave(stage, day)
    event = stage.scribe.use(Micros(left.occurred_at + 2 * DAY), owner, outcome="denied")
    stage.expect("orphaned_key", "key", owner.key_id, "", [left, event], "its owner, it says")


def key_used_on_the_last_evening(stage: Stage, day: int) -> None:
    owner, left = _leave(stage, day)
    event = stage.scribe.use(Micros(left.occurred_at + 6 * HOUR), owner)
    stage.spare("orphaned_key", "key", owner.key_id, "", [left, event], "within a day")


def owner_came_back(stage: Stage, day: int) -> None:
    owner, left = _leave(stage, day)
    back = Micros(left.occurred_at + 3 * DAY)
    again = stage.scribe.change(
        back, "grant", owner, role=owner.roles[0], reason="back from a leave", ticket=stage.scribe.ticket()
    )
    event = stage.scribe.use(Micros(back + 5 * DAY), owner)
    stage.spare("orphaned_key", "key", owner.key_id, "", [left, again, event], "its owner is back")


def used_before_its_owner_left(stage: Stage, day: int) -> None:
    owner, left = _leave(stage, day)
    event = stage.scribe.use(Micros(left.occurred_at - 30 * MINUTE), owner)
    stage.spare("orphaned_key", "key", owner.key_id, "", [event, left], "before its owner left")


def _leave(stage: Stage, day: int) -> tuple[Member, Event]:
    """Somebody's account is deleted, and nobody thinks of the keys."""
    member = stage.claim(candidates.person)
    at = stage.moment(begin_of(day, _SPAN))
    stage.retire(member, at)
    return member, stage.scribe.account(at, "delete", member, stage.scribe.ticket())
