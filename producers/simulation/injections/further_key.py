"""A second key for a member, which ordinary traffic does not use."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.keys import Scope
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Key, Micros


def further_key(
    stage: Stage,
    member: Member,
    reason: str,
    *,
    scope: Scope | None = None,
    issued_at: Micros | None = None,
    break_glass: bool = False,
) -> Key:
    """A key of the member's, from before the first day on; good for anything unless a scope is given."""
    return stage.keys.issue(
        member.name,
        member.type,
        member.team.name,
        Micros(stage.calendar.begin - 60 * DAY) if issued_at is None else issued_at,
        scope or Scope(),
        reason=reason,
        by="security-office",
        break_glass=break_glass,
    )
