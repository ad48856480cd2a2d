"""People join, move and leave, and keys are rotated, each with the events that go with it.

Ordinary traffic takes a change in at full hours: whoever leaves or moves falls silent at the hour
before, and whoever joins or gets a new key begins at the hour after.
"""

from collections.abc import Iterable
from dataclasses import replace

from keytrail.producers.simulation.calendar import DAY, DAYS, HOUR, MINUTE, hour_of
from keytrail.producers.simulation.company import Member, Posture
from keytrail.producers.simulation.inventory import take_inventory
from keytrail.producers.simulation.roles import WORKPLACE, Role
from keytrail.producers.simulation.stage import FIRST_DAY, Shift, Stage
from keytrail.schemas.records import Event, Micros

# Of a hundred people who are free to change.
_JOIN, _LEAVE, _MOVE, _ROTATE = 6, 5, 4, 15
_GRACE = 7 * DAY
_STEP = 2 * MINUTE


def plan_lifecycle(stage: Stage) -> list[Member]:
    """Plans everybody's half year; gives the members to whom nothing happens and whom nobody claimed."""
    lifecycle = _Lifecycle(stage)
    lifecycle.plan()
    return lifecycle.steady


class _Lifecycle:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.steady: list[Member] = []

    def plan(self) -> None:
        stage = self._stage
        members = stage.company.members
        for member in members:
            stage.plan.opening[member.number] = self._usual(member)
        free = [member for member in members if _is_free(member) and not stage.is_claimed(member)]
        people = [member for member in free if member.is_human and not member.is_contractor]
        stage.rng.shuffle(people)
        cuts = [len(people) * share // 100 for share in (_JOIN, _JOIN + _LEAVE, _JOIN + _LEAVE + _MOVE)]
        joiners, leavers, movers = people[: cuts[0]], people[cuts[0] : cuts[1]], people[cuts[1] : cuts[2]]
        changing = {member.number for member in people[: cuts[2]]}

        absent = {member.number for member in joiners}
        opening = stage.plan.opening
        take_inventory(stage, [opening[m.number] for m in members if m.number not in absent])
        for member in joiners:
            self._join(member)
        for member in leavers:
            self._leave(member)
        for member in movers:
            self._move(member)
        for member in free:
            if member.number not in changing:
                self.steady.append(member)
                if stage.rng.randrange(100) < _ROTATE:
                    self._rotate(member)

    def _usual(self, member: Member) -> Posture:
        stage = self._stage
        return Posture(
            member=member,
            team=member.team,
            roles=member.roles,
            key_id=member.key_id,
            key_alias=next(iter(stage.keys[member.key_id].aliases), None),
            until=stage.calendar.end,
            may_borrow=_is_free(member) and member.is_human and not stage.is_claimed(member),
        )

    def _join(self, member: Member) -> None:
        stage, scribe = self._stage, self._stage.scribe
        identity = stage.company.identity
        at = stage.moment(stage.rng.randint(3, DAYS - 30))
        ticket = scribe.ticket()
        key = f"key/{member.key_id}"
        stage.keys.issued(member.key_id, at, identity.key_id)
        stage.tell(
            scribe.account(Micros(at - _STEP), "create", member, ticket),
            scribe.change(at, "issue_key", member, resource=key, ticket=ticket, reason="new colleague"),
        )
        self._grant(member, member.roles, at, ticket, "new colleague", member)
        posture = stage.plan.opening[member.number]
        stage.plan.opening[member.number] = replace(posture, is_present=False)
        stage.plan.shifts.append(Shift(self._next_hour(at), member.number, posture))

    def _leave(self, member: Member) -> None:
        stage, scribe = self._stage, self._stage.scribe
        identity = stage.company.identity
        at = stage.moment(stage.rng.randint(FIRST_DAY, DAYS - 10))
        ticket = scribe.ticket()
        self._silence(member, at)
        stage.keys.revoke(member.key_id, at, identity.name, "left the company")
        stage.tell(
            *self._revocations(member, at, ticket, "left the company"),
            scribe.change(
                at,
                "revoke_key",
                member,
                resource=f"key/{member.key_id}",
                ticket=ticket,
                reason="left the company",
            ),
            scribe.account(Micros(at + 8 * _STEP), "delete", member, ticket),
        )

    def _move(self, member: Member) -> None:
        """Out of all roles but the workplace's, then into the new team's, if there is another team."""
        stage = self._stage
        elsewhere = [t for t in stage.company.teams if t.kind == "ordinary" and t is not member.team]
        if not elsewhere:
            return
        team = stage.rng.choice(elsewhere)
        at = stage.moment(stage.rng.randint(FIRST_DAY, DAYS - 10))
        ticket = stage.scribe.ticket()
        roles = tuple(stage.rng.sample(team.roles.daily, len(member.roles) - 1))
        moved = replace(member, team=team)
        before = stage.plan.opening[member.number]
        self._silence(member, at)
        stage.tell(*self._revocations(member, at, ticket, f"moves to {team.name}", keep=WORKPLACE))
        self._grant(moved, roles, at, ticket, f"moves to {team.name}", member)
        stage.keys.move(member.key_id, team.name, at, stage.company.identity.name)
        after = replace(before, member=moved, team=team, roles=(WORKPLACE, *roles))
        stage.plan.shifts.append(Shift(self._next_hour(at), member.number, after))

    def _rotate(self, member: Member) -> None:
        stage = self._stage
        at = stage.moment(stage.rng.randint(3, DAYS - 10))
        by_itself = member.is_human and not member.is_contractor
        actor = member if by_itself else stage.company.identity
        new = stage.keys.rotate(member.key_id, at, _GRACE, actor.name)
        stage.tell(
            stage.scribe.change(
                at,
                "rotate_key",
                member,
                actor=actor,
                resource=f"key/{member.key_id}",
                reason="regular rotation",
            )
        )
        posture = stage.plan.opening[member.number]
        switched = replace(posture, key_id=new.key_id, key_alias=None)
        stage.plan.shifts.append(Shift(self._next_hour(at), member.number, switched))

    def _silence(self, member: Member, at: Micros) -> None:
        """The member does nothing from the hour before `at` on, and is lent nothing beyond it."""
        plan = self._stage.plan
        until = Micros(hour_of(at, self._stage.calendar.begin) - HOUR)
        posture = replace(plan.opening[member.number], until=until)
        plan.opening[member.number] = posture
        plan.shifts.append(Shift(until, member.number, replace(posture, is_present=False)))

    def _next_hour(self, at: Micros) -> Micros:
        return Micros(hour_of(at, self._stage.calendar.begin) + HOUR)

    def _grant(
        self,
        member: Member,
        roles: Iterable[Role],
        at: Micros,
        ticket: str,
        reason: str,
        approved_for: Member,
    ) -> None:
        approver = self._stage.company.approver_for(approved_for, member.team)
        for step, role in enumerate(roles, 1):
            self._stage.tell(
                self._stage.scribe.change(
                    Micros(at + step * _STEP),
                    "grant",
                    member,
                    role=role,
                    ticket=ticket,
                    reason=reason,
                    approved_by=approver.name,
                )
            )

    def _revocations(
        self, member: Member, at: Micros, ticket: str, reason: str, keep: Role | None = None
    ) -> list[Event]:
        """Ends the member's roles, the last of them a step before `at`."""
        return [
            self._stage.scribe.change(
                Micros(at - step * _STEP), "revoke", member, role=role, ticket=ticket, reason=reason
            )
            for step, role in enumerate(member.roles, 1)
            if role is not keep
        ]


def _is_free(member: Member) -> bool:
    return member.team.kind == "ordinary" and not member.is_lead
