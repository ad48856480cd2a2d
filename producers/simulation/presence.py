"""Signs of life: whoever is planned to do something now and months later signs in in between."""

from collections import defaultdict
from itertools import pairwise

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Micros

_APART = 35 * DAY


def sign_in_between(stage: Stage) -> None:
    """With their first keys alone: what is planned for further keys is all that is done with them."""
    by_key = {member.key_id: member for member in stage.company.members if member.is_human}
    planned: dict[str, list[Micros]] = defaultdict(list)
    for event in stage.plan.events.values():
        if event.key_id in by_key:
            planned[event.key_id].append(event.occurred_at)
    for key_id, times in planned.items():
        member = by_key[key_id]
        for one, other in pairwise(sorted(times)):
            for step in range(1, (other - one) // _APART):
                day = (one + step * _APART - stage.calendar.begin) // DAY
                stage.tell(stage.scribe.use(stage.moment(day), member, action="login"))
