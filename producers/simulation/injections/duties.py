"""Duties that should lie in two hands, and roles that should have been taken back."""

from collections.abc import Callable

from keytrail.producers.simulation.calendar import DAY, HOUR
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros


def granted_to_oneself(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event = _grant(stage, day, member, actor=member, approved_by=None)
    stage.expect("self_grant", "subject", member.name, event.role or "", [event], "nobody else had a say")


def granted_to_oneself_without_ticket(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    approver = stage.company.approver_for(member).name
    event = _grant(stage, day, member, actor=member, approved_by=approver, has_ticket=False)
    stage.expect("self_grant", "subject", member.name, event.role or "", [event], "approved, but no ticket")


def granted_to_oneself_and_approved(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event = _grant(stage, day, member, actor=member, approved_by=stage.company.approver_for(member).name)
    stage.spare("self_grant", "subject", member.name, event.role or "", [event], "approved by the lead")


def granted_to_oneself_and_refused(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event = _grant(stage, day, member, actor=member, approved_by=None, outcome="denied")
    stage.spare("self_grant", "subject", member.name, event.role or "", [event], "refused")


def approved_by_who_gains(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event = _grant(stage, day, member, actor=None, approved_by=member.name)
    stage.expect("self_approval", "subject", member.name, "", [event], "approved by who gains by it")


def approved_by_who_acts(stage: Stage, day: int) -> None:
    actor, member = stage.claim(candidates.person), stage.claim(candidates.person)
    event = _grant(stage, day, member, actor=actor, approved_by=actor.name)
    stage.expect("self_approval", "subject", actor.name, "", [event], "approved by who made the change")


def approved_by_a_third(stage: Stage, day: int) -> None:
    actor, member = stage.claim(candidates.person), stage.claim(candidates.person)
    approver = stage.company.approver_for(member).name
    event = _grant(stage, day, member, actor=actor, approved_by=approver)
    stage.spare("self_approval", "subject", actor.name, "", [event], "approved by the lead")


def _grant(
    stage: Stage,
    day: int,
    subject: Member,
    *,
    actor: Member | None,
    approved_by: str | None,
    has_ticket: bool = True,
    outcome: str = "success",
) -> Event:
    """A temporary role of the subject's team."""
    return stage.scribe.change(
        stage.moment(day),
        "grant",
        subject,
        actor=actor,
        role=stage.rng.choice(subject.team.roles.temporary),
        reason=stage.scribe.reason(),
        ticket=stage.scribe.ticket() if has_ticket else None,
        approved_by=approved_by,
        outcome=outcome,
    )


def payments_in_one_hand(stage: Stage, day: int) -> None:
    _both_sides(stage, day, "payments", _duty, ("payment-creator", "payment-approver"))


def code_and_release_in_one_hand(stage: Stage, day: int) -> None:
    _both_sides(stage, day, "code and release", _duty, ("code-author", "release-approver"))


def payments_by_what_roles_permit(stage: Stage, day: int) -> None:
    """Roles whose names say nothing."""
    _both_sides(stage, day, "payments", _permitting, ("create", "approve"))


def _both_sides(
    stage: Stage, day: int, name: str, role_of: Callable[[Member, str], Role], sides: tuple[str, str]
) -> None:
    member, before, event = _two(stage, day, role_of, sides)
    stage.tell(before)
    stage.expect("toxic_combination", "subject", member.name, name, [before, event], "held together")


def one_side_after_the_other(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    first, second = (_duty(member, kind) for kind in ("payment-creator", "payment-approver"))
    at = stage.moment(day)
    stage.tell(
        stage.granted(member, first, Micros(at - 2 * DAY)),
        stage.scribe.change(Micros(at - DAY), "revoke", member, role=first, reason="no longer needed"),
    )
    event = stage.granted(member, second, at)
    stage.spare("toxic_combination", "subject", member.name, "payments", [event], "the other was taken back")


def two_of_one_side(stage: Stage, day: int) -> None:
    member, *events = _two(stage, day, _duty, ("payment-creator", "eu-payment-creator"))
    stage.spare("toxic_combination", "subject", member.name, "payments", events, "two roles of one side")


def payments_seen_and_created(stage: Stage, day: int) -> None:
    member, *events = _two(stage, day, _permitting, ("create", "list"))
    stage.spare("toxic_combination", "subject", member.name, "payments", events, "one duty by permission")


def _two(
    stage: Stage, day: int, role_of: Callable[[Member, str], Role], sides: tuple[str, str]
) -> tuple[Member, Event, Event]:
    """Somebody, and the grants of two roles on two days."""
    member = stage.claim(candidates.person)
    first, second = (role_of(member, side) for side in sides)
    at = stage.moment(day)
    return (
        member,
        stage.granted(member, first, Micros(at - DAY)),
        stage.granted(member, second, at),
    )


def not_taken_back(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event, later = _lent(stage, day, member, 4 * HOUR)
    stage.tell(later)
    stage.expect("overdue_grant", "subject", member.name, event.role or "", [event], "never taken back")


def taken_back_late(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    role = stage.rng.choice(member.team.roles.temporary)
    event, later = _lent(stage, day, member, 4 * HOUR, role)
    back = Micros(event.occurred_at + 5 * HOUR)
    stage.tell(later, stage.scribe.change(back, "revoke", member, role=role, reason="no longer needed"))
    stage.spare("overdue_grant", "subject", member.name, role.name, [event], "taken back an hour late")


def lent_for_long(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    event, later = _lent(stage, day, member, 400 * DAY)
    stage.tell(later)
    stage.spare("overdue_grant", "subject", member.name, event.role or "", [event], "its end is far away")


def _lent(
    stage: Stage, day: int, member: Member, lasts: int, role: Role | None = None
) -> tuple[Event, Event]:
    """A temporary role for so long, and a use of another one three days after the grant."""
    at = stage.moment(day)
    event = stage.granted(
        member, role or stage.rng.choice(member.team.roles.temporary), at, expires_at=Micros(at + lasts)
    )
    return event, stage.scribe.use(Micros(at + 3 * DAY), member)


def _duty(member: Member, kind: str) -> Role:
    team = member.team.name
    return Role(f"{team}-{kind}", [f"{team}.{kind}.use"], f"{team}-api", ())


def _permitting(member: Member, verb: str) -> Role:
    team = member.team.name
    return Role(f"{team}-desk-{verb[0]}", [f"{team}.payment.{verb}"], f"{team}-api", ())
