"""Keys used for what they were not issued for, one dimension at a time."""

from keytrail.producers.simulation.calendar import SCOPE_HOURS
from keytrail.producers.simulation.company import ENVIRONMENTS, Member
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event

# Documentation networks (RFC 5737): nobody's office.
_ELSEWHERE = ("203.0.113.", "198.51.100.", "192.0.2.")
_UNLISTED_ACTIONS = ("export", "impersonate")


def other_action(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.service)
    action = stage.rng.choice(_UNLISTED_ACTIONS)
    event = stage.scribe.use(stage.moment(day), member, action=action)
    _expect(stage, member, "action", event, note=f"{action} by a key that is not for it")


def other_role(stage: Stage, day: int) -> None:
    member = _tight_service(stage)
    own = stage.rng.choice(member.roles[0].resources)
    event = stage.scribe.use(stage.moment(day), member, role=_role_of_others(stage, member), resource=own)
    _expect(stage, member, "role", event, note="another team's role")


def other_resource(stage: Stage, day: int) -> None:
    member = _tight_service(stage)
    resource = stage.rng.choice(_role_of_others(stage, member).resources)
    event = stage.scribe.use(stage.moment(day), member, resource=resource)
    _expect(stage, member, "resource", event, note="another team's resource")


def other_environment(stage: Stage, day: int) -> None:
    member = stage.claim(lambda m: len(m.environments) < len(ENVIRONMENTS) and candidates.person(m))
    environment = next(e for e in ENVIRONMENTS if e not in member.environments)
    event = stage.scribe.use(stage.moment(day), member, environment=environment)
    _expect(stage, member, "environment", event, note=f"{environment} is none of the key's environments")


def other_network(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    address = stage.rng.choice(_ELSEWHERE) + str(stage.rng.randint(1, 254))
    at = stage.moment(day)
    events = [
        stage.scribe.use(at, member, source_ip=address),
        stage.scribe.use(stage.soon_after(at), member, source_ip=address),
    ]
    _expect(stage, member, "network", *events, note="from an address outside the offices")


def other_hours(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.contractor)
    calendar, minute = stage.calendar, stage.rng.randint(0, 59)
    at_night = calendar.at(calendar.workday(day), 22, minute)
    on_saturday = calendar.at(calendar.weekend(day - 7), 11, minute)
    event = stage.scribe.use(stage.rng.choice((at_night, on_saturday)), member)
    _expect(stage, member, "hours", event, note=f"outside {SCOPE_HOURS}")


def nothing_stated(stage: Stage, day: int) -> None:
    member = _tight_service(stage)
    event = stage.scribe.event(
        stage.moment(day), "use", member, service=member.roles[0].service, key_id=member.key_id
    )
    for dimension in ("role", "resource", "environment", "network"):
        _spare(stage, member, dimension, event, "the event does not state it")


def edge_of_hours(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.contractor)
    at = stage.calendar.at(stage.calendar.workday(day), 18, stage.rng.randint(55, 58))
    _spare(stage, member, "hours", stage.scribe.use(at, member), f"just within {SCOPE_HOURS}")


def edge_of_network(stage: Stage, day: int) -> None:
    member = stage.claim(candidates.person)
    network = stage.keys[member.key_id].scope_networks[0]
    last = network.replace(".0.0/16", ".255.254")
    event = stage.scribe.use(stage.moment(day), member, source_ip=last)
    _spare(stage, member, "network", event, f"the last address of {network}")


def role_of_an_update(stage: Stage, day: int) -> None:
    """A role that is named but neither granted nor used is no matter of the key's roles."""
    member = _tight_service(stage)
    own = stage.rng.choice(member.roles[0].resources)
    role = _role_of_others(stage, member)
    event = stage.scribe.use(stage.moment(day), member, action="update", role=role, resource=own)
    _spare(stage, member, "role", event, "named in an update, neither granted nor used")


def _tight_service(stage: Stage) -> Member:
    """A service whose key is scoped to the roles and resources of its team."""
    return stage.claim(lambda m: candidates.service(m) and bool(stage.keys[m.key_id].scope_roles))


def _role_of_others(stage: Stage, member: Member) -> Role:
    teams = [team for team in stage.company.teams if not team.name.startswith(member.team.name)]
    return stage.rng.choice(stage.rng.choice(teams).roles.daily)


def _expect(stage: Stage, member: Member, dimension: str, *events: Event, note: str) -> None:
    stage.expect("out_of_scope", "key", member.key_id, dimension, list(events), note)


def _spare(stage: Stage, member: Member, dimension: str, event: Event, note: str) -> None:
    stage.spare("out_of_scope", "key", member.key_id, dimension, [event], note)
