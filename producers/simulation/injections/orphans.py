"""People who leave and keys that end, and what stays: keys of theirs, roles that were given with them."""

from dataclasses import replace

from keytrail.producers.simulation import ids
from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Key, Micros

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


def given_with_a_leaked_key(stage: Stage, day: int) -> None:
    key, events = _gives(stage, day, 3)
    stage.keys.revoke(key.key_id, Micros(events[-1].occurred_at + 9 * DAY), "security-office", "leaked")
    stage.expect("orphaned_access", "key", key.key_id, "compromised", events, "nine days before it was known")


def given_before_the_end_of_a_key(stage: Stage, day: int) -> None:
    key, events = _gives(stage, day, 2)
    stage.keys.revoke(
        key.key_id, Micros(events[0].occurred_at + 5 * DAY), "security-office", "project is over"
    )
    stage.expect("orphaned_access", "key", key.key_id, "revoked", events, "within its last week")


def given_before_leaving(stage: Stage, day: int) -> None:
    key, events = _gives(stage, day, 2)
    left = _deleted(stage, key, Micros(events[0].occurred_at + 3 * DAY))
    stage.expect("orphaned_access", "key", key.key_id, "owner left", [*events, left], "as a farewell")


def given_long_before(stage: Stage, day: int) -> None:
    key, events = _gives(stage, day, 2)
    stage.keys.revoke(
        key.key_id, Micros(events[-1].occurred_at + 8 * DAY), "security-office", "project is over"
    )
    stage.spare("orphaned_access", "key", key.key_id, "revoked", events, "more than a week before")


def taken_back_in_time(stage: Stage, day: int) -> None:
    key, [given] = _gives(stage, day, 1)
    at = Micros(given.occurred_at + DAY)
    back = replace(
        given,
        event_id=ids.event_id(at, ids.hex_digits(stage.rng, ids.EVENT_ID_DIGITS)),
        occurred_at=at,
        recorded_at=Micros(given.recorded_at + DAY),
        action="revoke",
        permissions=[],
    )
    stage.keys.revoke(key.key_id, Micros(at + DAY), "security-office", "leaked")
    stage.spare("orphaned_access", "key", key.key_id, "compromised", [given, back], "taken back before")


def given_with_a_key_that_was_rotated(stage: Stage, day: int) -> None:
    key, events = _gives(stage, day, 2)
    at = Micros(events[-1].occurred_at + DAY)
    stage.keys.rotate(key.key_id, at, DAY, "security-office")
    stage.keys.revoke(key.key_id, Micros(at + HOUR), "security-office", "regular rotation")
    stage.spare("orphaned_access", "key", key.key_id, "revoked", events, "its successor answers for them")


def _gives(stage: Stage, day: int, many: int) -> tuple[Key, list[Event]]:
    """Somebody of a project grants a role to colleagues, within the hour."""
    member = newcomer(stage)
    key = stage.further_key(member, "for the project")
    role, begin = stage.rng.choice(member.team.roles.daily), stage.moment(begin_of(day, _SPAN))
    return key, [
        stage.scribe.event(
            Micros(begin + number * 10 * MINUTE),
            "grant",
            member,
            service="project-tools",
            key_id=key.key_id,
            subject=f"{member.team.name}-{number}",
            role=role.name,
            permissions=role.permissions,
            environment=member.environments[0],
            source_ip=member.addresses[0],
            reason=stage.scribe.reason(),
            ticket=stage.scribe.ticket(),
        )
        for number in range(many)
    ]


def _deleted(stage: Stage, key: Key, at: Micros) -> Event:
    """The account of the key's owner is deleted, who is no member of the company's own."""
    by = stage.company.identity
    return stage.scribe.event(
        at,
        "delete",
        by,
        service="project-tools",
        key_id=by.key_id,
        subject=key.owner,
        environment=by.environments[0],
        resource=f"account/{key.owner}",
        source_ip=by.addresses[0],
        ticket=stage.scribe.ticket(),
    )
