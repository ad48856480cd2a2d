"""Keys that nobody registered, or that were used after their time."""

from keytrail.producers.simulation.calendar import DAY, HOUR, MINUTE
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros

_SECURITY = "security-office"


def unknown_to_all(stage: Stage, day: int) -> None:
    _unknown(stage, day, stage.claim(candidates.person))


def unknown_to_services(stage: Stage, day: int) -> None:
    _unknown(stage, day, stage.claim(candidates.service))


def _unknown(stage: Stage, day: int, member: Member) -> None:
    key_id = stage.keys.new_id()
    events = _uses(stage, member, key_id, stage.moment(day), 3)
    stage.expect("unknown_key", "key", key_id, "", events, "a key that was never registered")


def known_by_its_hash(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.service)
    alias = stage.keys[member.key_id].aliases[0]
    event = stage.scribe.event(
        stage.moment(day), "use", member, service=member.roles[0].service, key_alias=alias
    )
    stage.spare("unknown_key", "key", alias, "", [event], "the hash of a registered key's token")


def rotated_and_expired(stage: Stage, day: int) -> None:
    """A job was not told of a rotation and goes on with the old key."""
    member = stage.claim(candidates.service)
    rotated_at = stage.keys[member.key_id].issued_at
    old = stage.keys.issue_like(member.key_id, Micros(rotated_at - 365 * DAY), reason="first key")
    expires_at = stage.moment(day)
    stage.keys.succeed(old.key_id, member.key_id, rotated_at, expires_at, _SECURITY)
    stage.tell(*_uses(stage, member, old.key_id, Micros(expires_at - 3 * DAY), 2))
    events = _uses(stage, member, old.key_id, Micros(expires_at + HOUR), 3)
    stage.expect("expired_key", "key", old.key_id, "", events, "used after its successor took over")


def term_over(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    expires_at = stage.moment(day)
    key = _further_key(stage, member, "for the length of a project", expires_at)
    stage.tell(*_uses(stage, member, key.key_id, Micros(expires_at - 5 * DAY), 2))
    events = _uses(stage, member, key.key_id, Micros(expires_at + 2 * HOUR), 2)
    stage.expect("expired_key", "key", key.key_id, "", events, "used after its term")


def hour_before_expiry(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    expires_at = stage.moment(day)
    key = _further_key(stage, member, "for the length of a project", expires_at)
    event = stage.scribe.use(Micros(expires_at - HOUR), member, key_id=key.key_id)
    stage.spare("expired_key", "key", key.key_id, "", [event], "used an hour before it expired")


def revoked_from_person(stage: Stage, day: int) -> None:
    _revoked(stage, day, stage.claim(candidates.person), "lost laptop")


def revoked_from_service(stage: Stage, day: int) -> None:
    _revoked(stage, day, stage.claim(candidates.service), "found in a build log")


def _revoked(stage: Stage, day: int, member: Member, why: str) -> None:
    key = _further_key(stage, member, "further key")
    at = stage.moment(day)
    _revoke(stage, member, key, at, why)
    events = _uses(stage, member, key.key_id, Micros(at + 3 * HOUR), 3)
    stage.expect("revoked_key", "key", key.key_id, "", events, f"used after it was revoked: {why}")


def minute_before_revocation(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    key = _further_key(stage, member, "further key")
    at = stage.moment(day)
    _revoke(stage, member, key, at, "laptop replaced")
    event = stage.scribe.use(Micros(at - MINUTE), member, key_id=key.key_id)
    stage.spare("revoked_key", "key", key.key_id, "", [event], "used a minute before it was revoked")


def suspended_and_used(stage: Stage, day: int) -> None:
    member, key, at = _suspend(stage, day)
    events = _uses(stage, member, key.key_id, Micros(at + HOUR), 2)
    stage.expect("suspended_key", "key", key.key_id, "", events, "used while suspended")


def suspended_and_denied(stage: Stage, day: int) -> None:
    """The service refused it, and somebody tried all the same."""
    member, key, at = _suspend(stage, day)
    events = _uses(stage, member, key.key_id, Micros(at + HOUR), 2, outcome="denied")
    stage.expect("suspended_key", "key", key.key_id, "", events, "tried while suspended, and refused")


def before_suspension(stage: Stage, day: int) -> None:
    member, key, at = _suspend(stage, day)
    event = stage.scribe.use(Micros(at - 10 * MINUTE), member, key_id=key.key_id)
    stage.spare("suspended_key", "key", key.key_id, "", [event], "used ten minutes before suspension")


def _suspend(stage: Stage, day: int) -> tuple[Member, Key, Micros]:
    member = stage.claim(candidates.person)
    key = _further_key(stage, member, "further key")
    at = stage.moment(day)
    why = "odd hours, under review"
    stage.keys.suspend(key.key_id, at, stage.company.identity.name, why)
    stage.tell(stage.scribe.change(at, "suspend_key", member, resource=f"key/{key.key_id}", reason=why))
    return member, key, at


def _revoke(stage: Stage, member: Member, key: Key, at: Micros, why: str) -> None:
    stage.keys.revoke(key.key_id, at, stage.company.identity.name, why)
    stage.tell(
        stage.scribe.change(
            at, "revoke_key", member, resource=f"key/{key.key_id}", reason=why, ticket=stage.scribe.ticket()
        )
    )


def _further_key(stage: Stage, member: Member, reason: str, expires_at: Micros | None = None) -> Key:
    issued_at = Micros(stage.calendar.begin - stage.rng.randint(20, 200) * DAY)
    return stage.keys.issue_like(member.key_id, issued_at, reason=reason, expires_at=expires_at)


def _uses(
    stage: Stage, member: Member, key_id: str, at: Micros, most: int, outcome: str = "success"
) -> list[Event]:
    """One to `most` uses, hours apart, the first at `at`."""
    times = [Micros(at + step * 7 * HOUR) for step in range(stage.rng.randint(1, most))]
    return [stage.scribe.use(time, member, key_id=key_id, outcome=outcome) for time in times]
