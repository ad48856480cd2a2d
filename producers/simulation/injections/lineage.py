"""Keys that issue keys, and keys that outlive the ones that issued them."""

from keytrail.producers.simulation.calendar import DAY, HOUR
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros


def third_of_a_line_issues(stage: Stage, day: int) -> None:
    member, line = _line(stage, 3)
    event = _issues(stage, day, member, line[-1])
    stage.expect("key_lineage", "key", line[-1].key_id, "", [event], "a fourth generation")


def second_of_a_line_issues(stage: Stage, day: int) -> None:
    member, line = _line(stage, 2)
    event = _issues(stage, day, member, line[-1])
    stage.spare("key_lineage", "key", line[-1].key_id, "", [event], "a third generation")


def third_of_a_line_is_refused(stage: Stage, day: int) -> None:
    member, line = _line(stage, 3)
    event = _issues(stage, day, member, line[-1], outcome="denied")
    stage.spare("key_lineage", "key", line[-1].key_id, "", [event], "refused")


def outlives_its_parent(stage: Stage, day: int) -> None:
    _orphan(stage, day, 10 * DAY, "left the team", "used ten days after", due=True)


def outlives_a_compromised_grandparent(stage: Stage, day: int) -> None:
    _orphan(stage, day, 2 * HOUR, "compromised", "used hours after", due=True, generations=3)


def outlives_its_parent_for_days(stage: Stage, day: int) -> None:
    _orphan(stage, day, 3 * DAY, "left the team", "used three days after", due=False)


def goes_before_its_parent(stage: Stage, day: int) -> None:
    _orphan(stage, day, -HOUR, "compromised", "used before", due=False)


def _line(stage: Stage, generations: int) -> tuple[Member, list[Key]]:
    """Somebody with so many keys, each issued by the one before."""
    member = stage.claim(candidates.person)
    line: list[Key] = []
    for _ in range(generations):
        parent = line[-1].key_id if line else None
        line.append(stage.further_key(member, "for a script", parent_key=parent))
    return member, line


def _issues(stage: Stage, day: int, member: Member, key: Key, outcome: str = "success") -> Event:
    return stage.scribe.change(
        stage.moment(day),
        "issue_key",
        member,
        actor=member,
        resource="key",
        reason="for a script",
        outcome=outcome,
        key_id=key.key_id,
    )


def _orphan(
    stage: Stage, day: int, after: int, reason: str, note: str, *, due: bool, generations: int = 2
) -> None:
    """The first of a line is revoked, and the last is used so much later."""
    member, line = _line(stage, generations)
    first, last = line[0].key_id, line[-1].key_id
    event = stage.scribe.use(stage.moment(day), member, key_id=last)
    stage.keys.revoke(first, Micros(event.occurred_at - after), "security-office", reason)
    (stage.expect if due else stage.spare)("orphaned_child_key", "key", last, first, [event], note)
