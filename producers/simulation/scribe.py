"""Writing down the events that are planned before the simulation runs."""

from collections.abc import Sequence
from random import Random
from typing import Literal

from keytrail.producers.simulation import ids, words
from keytrail.producers.simulation.calendar import SECOND
from keytrail.producers.simulation.company import Company, Member, Team
from keytrail.producers.simulation.roles import Role
from keytrail.schemas.records import Event, Micros

IDENTITY_SERVICE = "identity"


class Scribe:
    """Makes events; what is not said is what an ordinary event of that kind states."""

    def __init__(self, company: Company, rng: Random) -> None:
        self._company = company
        self._rng = rng

    def use(
        self,
        at: Micros,
        actor: Member,
        *,
        role: Role | None = None,
        action: str = "use",
        key_id: str | None = None,
        outcome: str = "success",
        environment: str | None = None,
        resource: str | None = None,
        source_ip: str | None = None,
    ) -> Event:
        """The actor does something by one of its roles, with its own key unless another is named."""
        used = role or actor.roles[-1]
        return self.event(
            at,
            action,
            actor,
            service=used.service,
            role=used.name,
            key_id=key_id or actor.key_id,
            environment=environment or self._rng.choice(actor.environments),
            resource=resource or self._rng.choice(used.resources),
            source_ip=source_ip or self._rng.choice(actor.addresses),
            outcome=outcome,
            error=None if outcome == "success" else "access denied",
        )

    def change(
        self,
        at: Micros,
        action: str,
        subject: Member,
        *,
        actor: Member | None = None,
        team: Team | None = None,
        role: Role | None = None,
        permissions: Sequence[str] | None = None,
        resource: str | None = None,
        reason: str | None = None,
        ticket: str | None = None,
        approved_by: str | None = None,
        expires_at: Micros | None = None,
        outcome: str = "success",
        key_id: str | None = None,
        environment: str | None = None,
    ) -> Event:
        """Somebody's access changes; by the identity service unless an actor is named."""
        by = actor or self._company.identity
        given = role.permissions if role is not None else []
        return self.event(
            at,
            action,
            by,
            service=IDENTITY_SERVICE,
            subject=subject.name,
            team=team or subject.team,
            role=role.name if role is not None else None,
            permissions=list(permissions) if permissions is not None else given,
            key_id=key_id or by.key_id,
            environment=environment or by.environments[0],
            resource=resource,
            source_ip=self._rng.choice(by.addresses),
            reason=reason,
            ticket=ticket,
            approved_by=approved_by,
            expires_at=expires_at,
            outcome=outcome,
            error=None if outcome == "success" else "access denied",
        )

    def account(self, at: Micros, action: Literal["create", "delete"], member: Member, ticket: str) -> Event:
        """The member's account comes or goes, by the identity service."""
        by = self._company.identity
        state = '{"state": "active"}'
        return self.event(
            at,
            action,
            by,
            service=IDENTITY_SERVICE,
            key_id=by.key_id,
            subject=member.name,
            team=member.team,
            environment=by.environments[0],
            resource=f"account/{member.name}",
            source_ip=by.addresses[0],
            ticket=ticket,
            before=state if action == "delete" else None,
            after=state if action == "create" else None,
        )

    def event(
        self,
        at: Micros,
        action: str,
        actor: Member,
        *,
        service: str,
        key_id: str | None = None,
        key_alias: str | None = None,
        subject: str | None = None,
        team: Team | None = None,
        role: str | None = None,
        permissions: list[str] | None = None,
        environment: str | None = None,
        resource: str | None = None,
        source_ip: str | None = None,
        reason: str | None = None,
        ticket: str | None = None,
        approved_by: str | None = None,
        expires_at: Micros | None = None,
        outcome: str = "success",
        error: str | None = None,
        before: str | None = None,
        after: str | None = None,
        recorded_at: Micros | None = None,
    ) -> Event:
        """An event that states what is given alone; `team` is the subject's, or else the actor's.

        `recorded_at` is a moment after `at` unless it is given.
        """
        return Event(
            event_id=ids.event_id(at, ids.hex_digits(self._rng, ids.EVENT_ID_DIGITS)),
            occurred_at=at,
            recorded_at=recorded_at or Micros(at + self._rng.randint(SECOND // 500, SECOND // 2)),
            service=service,
            environment=environment,
            actor_id=actor.name,
            actor_type=actor.type,
            key_id=key_id,
            key_alias=key_alias,
            action=action,
            subject=subject,
            role=role,
            permissions=permissions or [],
            resource=resource,
            reason=reason,
            ticket=ticket,
            approved_by=approved_by,
            expires_at=expires_at,
            outcome=outcome,
            error=error,
            source_ip=source_ip,
            user_agent=actor.agent,
            trace_id=ids.hex_digits(self._rng, 32),
            span_id=ids.hex_digits(self._rng, 16),
            before=before,
            after=after,
            attributes=(team or actor.team).attributes,
        )

    def reason(self) -> str:
        return self._rng.choice(words.REASONS)

    def ticket(self) -> str:
        return ids.ticket(self._rng)
