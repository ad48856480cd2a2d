"""One key that changes access by the dozen within minutes."""

from keytrail.producers.simulation.calendar import MINUTE, SECOND
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.keys import Scope
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Key, Micros

_FEW, _MANY = 24, 26  # on both sides of what the rules bear in ten minutes


def grants_by_script(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "grant", stage.rng.randint(_MANY, 40), 12 * SECOND)
    stage.expect("provisioning_burst", "key", key.key_id, "", events, "grants by a script")


def few_grants(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "grant", _FEW, 12 * SECOND)
    stage.spare("provisioning_burst", "key", key.key_id, "", events, "as many as one does by hand")


def slow_grants(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "grant", _MANY, MINUTE)
    stage.spare("provisioning_burst", "key", key.key_id, "", events, "many, one a minute")


def grants_by_a_provisioner(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "grant", _MANY, 12 * SECOND, provisions=True)
    stage.spare("provisioning_burst", "key", key.key_id, "", events, "many, by a key that is for it")


def revocations_by_script(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "revoke", stage.rng.randint(_MANY, 40), 12 * SECOND)
    stage.expect("mass_revoke", "key", key.key_id, "", events, "roles taken away by a script")


def suspensions_by_script(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "suspend_key", stage.rng.randint(_MANY, 40), 5 * SECOND)
    stage.expect("mass_revoke", "key", key.key_id, "", events, "keys suspended by a script")


def few_revocations(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "revoke", _FEW, 12 * SECOND)
    stage.spare("mass_revoke", "key", key.key_id, "", events, "as many as one does by hand")


def refused_revocations(stage: Stage, day: int) -> None:
    key, events = _changes(stage, day, "revoke", _MANY, 12 * SECOND, outcome="failure")
    stage.spare("mass_revoke", "key", key.key_id, "", events, "many, none of which succeeded")


def _changes(
    stage: Stage,
    day: int,
    action: str,
    many: int,
    apart: int,
    outcome: str = "success",
    *,
    provisions: bool = False,
) -> tuple[Key, list[Event]]:
    """So many changes by one key, of the access of people of a project.

    `provisions`: the key is for it, and for the team's daily roles alone.
    """
    member = newcomer(stage)
    daily = tuple(role.name for role in member.team.roles.daily)
    scope = Scope(actions=("grant", "revoke"), roles=daily) if provisions else None
    key = stage.further_key(member, "for the move to the new project", scope=scope)
    role, ticket, begin = stage.rng.choice(member.team.roles.daily), stage.scribe.ticket(), stage.moment(day)
    events = [
        stage.scribe.event(
            Micros(begin + number * apart),
            action,
            member,
            service="project-tools",
            key_id=key.key_id,
            subject=f"{member.team.name}-{number}",
            role=None if action == "suspend_key" else role.name,
            permissions=role.permissions if action == "grant" else [],
            resource=f"key/{member.team.name}-{number}" if action == "suspend_key" else None,
            environment=member.environments[0],
            source_ip=member.addresses[0],
            reason="move to the new project",
            ticket=ticket,
            outcome=outcome,
            error=None if outcome == "success" else "the directory is busy",
        )
        for number in range(many)
    ]
    return key, events
