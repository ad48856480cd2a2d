"""Privileged roles granted, with and without what an approval takes: a ticket and somebody else's yes."""

from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage

_NAMES = (
    "AdministratorAccess",
    "PowerUserAccess",
    "ObjectStoreFullAccess",
    "root",
    "owner",
    "db-superuser",
    "vault:*",
    "cluster-admin",
)


def not_approved(stage: Stage, day: int) -> None:
    _grant(stage, day, "nobody approved it", has_ticket=True, approver="")


def approved_by_oneself(stage: Stage, day: int) -> None:
    _grant(stage, day, "approved by who granted it", has_ticket=True, approver="lead")


def approved_without_ticket(stage: Stage, day: int) -> None:
    _grant(stage, day, "approved, but without a ticket", has_ticket=False, approver="other")


def approved(stage: Stage, day: int) -> None:
    _grant(
        stage, day, "approved by somebody else, with a ticket", has_ticket=True, approver="other", due=False
    )


def way_to_more(stage: Stage, day: int) -> None:
    _grant_of(stage, day, "grant-roles", is_approved=False)


def way_to_keys(stage: Stage, day: int) -> None:
    _grant_of(stage, day, "issue-keys", is_approved=False)


def way_to_more_approved(stage: Stage, day: int) -> None:
    _grant_of(stage, day, "grant-roles", is_approved=True)


def list_of_grants(stage: Stage, day: int) -> None:
    _grant_of(stage, day, "list-granted-roles", is_approved=False, due=False)


def _grant_of(stage: Stage, day: int, verb: str, *, is_approved: bool, due: bool = True) -> None:
    """A role whose name says nothing, and whose permissions do."""
    subject = stage.claim(candidates.person)
    lead = stage.company.leads[subject.team.name]
    name = f"{subject.team.name}-directory-helper"
    event = stage.scribe.change(
        stage.moment(day),
        "grant",
        subject,
        actor=lead,
        role=Role(name, [f"{name}.{verb}", f"{name}.read"], "directory", ()),
        reason=stage.scribe.reason(),
        ticket=stage.scribe.ticket(),
        approved_by=stage.company.approver_for(lead).name if is_approved else None,
    )
    label = stage.expect if due and not is_approved else stage.spare
    label("escalation_path", "subject", subject.name, name, [event], f"permits {verb}")


def _grant(stage: Stage, day: int, note: str, *, has_ticket: bool, approver: str, due: bool = True) -> None:
    """The lead grants it; `approver` is the lead, the lead's own approver (other) or nobody."""
    subject = stage.claim(candidates.person)
    lead = stage.company.leads[subject.team.name]
    approvers = {"lead": lead.name, "other": stage.company.approver_for(lead).name}
    name = stage.rng.choice(_NAMES)
    word = name.lower().replace(":*", "")
    role = Role(name, [f"privileged.{word}.manage"], "cloud", ())
    event = stage.scribe.change(
        stage.moment(day),
        "grant",
        subject,
        actor=lead,
        role=role,
        reason=stage.scribe.reason(),
        ticket=stage.scribe.ticket() if has_ticket else None,
        approved_by=approvers.get(approver),
    )
    if approvers.get(approver) == lead.name:
        stage.expect("self_approval", "subject", lead.name, "", [event], note)
    label = stage.expect if due else stage.spare
    label("privileged_grant", "subject", subject.name, role.name, [event], note)
