"""Roles that lie within groups: the company's policy alone says so."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.company import Member
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.stage import Stage
from keytrail.schemas.records import Event, Micros


def role_within_a_group(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    crew, reader = _crew(stage, member)
    events = _granted(stage, day, member, crew, reader)
    _expect(stage, member, reader, events, f"{crew.name} has it, in a role within it")


def role_by_what_two_groups_give(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    inner = [_role(member, f"{noun}-viewer", f"{noun}.view") for noun in ("order", "invoice")]
    groups = [_role(member, f"{noun}-circle") for noun in ("order", "invoice")]
    for group, role in zip(groups, inner, strict=True):
        stage.describe(role)
        stage.describe(group, role)
    both = _role(member, "back-office", "order.view", "invoice.view")
    events = _granted(stage, day, member, *groups, both)
    _expect(stage, member, both, events, "the roles within two groups give it all")


def role_before_its_group(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    crew, reader = _crew(stage, member)
    events = _granted(stage, day, member, reader, crew)
    for role in (reader, crew):
        _spare(stage, member, role, events, "the role came first, and the group gives more")


def more_than_a_group_gives(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    crew, _ = _crew(stage, member)
    more = _role(member, "keeper", "desk.read", "desk.archive")
    _spare(stage, member, more, _granted(stage, day, member, crew, more), "one permission is new")


def group_taken_back(stage: Stage, day: int) -> None:
    member = newcomer(stage)
    crew, reader = _crew(stage, member)
    before, event = _granted(stage, day, member, crew, reader)
    back = Micros(event.occurred_at - DAY // 2)
    stage.tell(before, stage.scribe.change(back, "revoke", member, role=crew, reason="left the crew"))
    _spare(stage, member, reader, [event], f"{crew.name} was taken back before")


def _crew(stage: Stage, member: Member) -> tuple[Role, Role]:
    """A group, and a role that lies in a role of it.  Grants of the group state no permissions."""
    crew, clerk = _role(member, "crew"), _role(member, "clerk", "desk.write")
    reader = _role(member, "reader", "desk.read")
    stage.describe(reader)
    stage.describe(clerk, reader)
    stage.describe(crew, clerk)
    return crew, reader


def _role(member: Member, kind: str, *permissions: str) -> Role:
    team = member.team.name
    return Role(f"{team}-{kind}", [f"{team}.{permission}" for permission in permissions], f"{team}-api", ())


def _granted(stage: Stage, day: int, member: Member, *roles: Role) -> list[Event]:
    """One a day, the last on this day."""
    at = stage.moment(day)
    return [
        stage.scribe.change(
            Micros(at - (len(roles) - number) * DAY),
            "grant",
            member,
            role=role,
            reason=stage.scribe.reason(),
            ticket=stage.scribe.ticket(),
        )
        for number, role in enumerate(roles, 1)
    ]


def _expect(stage: Stage, member: Member, role: Role, events: list[Event], note: str) -> None:
    stage.expect("redundant_grant", "subject", member.name, role.name, events, note)


def _spare(stage: Stage, member: Member, role: Role, events: list[Event], note: str) -> None:
    stage.spare("redundant_grant", "subject", member.name, role.name, events, note)
