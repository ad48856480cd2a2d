"""Privileged keys that lie unused, before anybody else finds them."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.keys import Scope
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Key, Micros

_REST = 95  # days, longer than the rule bears
_LAST_ALLOWED = 89
_SHORT = 60
_SPAN = 97  # days that all of it takes, a weekend before it counted in
_SECURITY = "security-office"


def lies_after_its_use(stage: Stage, day: int) -> None:
    key, events = _used(stage, day, 0)
    _expect(stage, key, events, "a privileged key, unused for the rest of the time")


def never_used(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    at = stage.moment(begin_of(day, _SPAN))
    key = stage.keys.issue(
        member.name,
        member.type,
        member.team.name,
        at,
        _scope(member),
        reason="for the new project",
        by=_SECURITY,
    )
    _expect(stage, key, [_issued(stage, member, key, at)], "a privileged key that was never used")


def lies_and_awakes(stage: Stage, day: int) -> None:
    key, events = _used(stage, day, 0, _REST)
    _expect(stage, key, events, "a privileged key that was unused for three months, and then used")
    stage.expect("dormant_key_awakes", "key", key.key_id, "", events, "unused for three months")


def ordinary_key(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    key = stage.further_key(member, "for the new project")
    event = stage.scribe.use(stage.moment(begin_of(day, _SPAN)), member, key_id=key.key_id)
    _spare(stage, key, [event], "unused as long, but not privileged")


def used_on_the_last_day(stage: Stage, day: int) -> None:
    key, events = _used(stage, day, 0, _LAST_ALLOWED)
    _spare(stage, key, events, "used on the last day allowed")


def break_glass(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    key = stage.further_key(member, "emergency access", scope=_scope(member), break_glass=True)
    event = _issued(stage, member, key, stage.moment(day))
    _spare(stage, key, [event], "an emergency key is meant to lie unused")


def revoked_in_time(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    key, events = _used(stage, day, 0, member=member)
    at = Micros(events[0].occurred_at + _SHORT * DAY)
    stage.keys.revoke(key.key_id, at, _SECURITY, "not used")
    revoked = stage.scribe.change(
        at,
        "revoke_key",
        member,
        resource=f"key/{key.key_id}",
        reason="not used",
        ticket=stage.scribe.ticket(),
    )
    _spare(stage, key, [*events, revoked], "revoked when it had been unused for two months")


def _used(stage: Stage, day: int, *after: int, member: Member | None = None) -> tuple[Key, list[Event]]:
    """A privileged key, used so many days after the first of its uses."""
    by = member or newcomer(stage)
    key = stage.further_key(by, "for the new project", scope=_scope(by))
    begin = stage.moment(begin_of(day, _SPAN))
    role = by.team.roles.privileged
    return key, [
        stage.scribe.use(Micros(begin + days * DAY), by, role=role, key_id=key.key_id) for days in after
    ]


def _scope(member: Member) -> Scope:
    return Scope(roles=(member.team.roles.privileged.name,))


def _issued(stage: Stage, member: Member, key: Key, at: Micros) -> Event:
    """The event of its issue."""
    return stage.scribe.change(
        at,
        "issue_key",
        member,
        resource=f"key/{key.key_id}",
        ticket=stage.scribe.ticket(),
        reason="for the new project",
    )


def _expect(stage: Stage, key: Key, events: list[Event], note: str) -> None:
    stage.expect("dormant_privileged_key", "key", key.key_id, "", events, note)


def _spare(stage: Stage, key: Key, events: list[Event], note: str) -> None:
    stage.spare("dormant_privileged_key", "key", key.key_id, "", events, note)
