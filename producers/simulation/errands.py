"""Roles lent for hours: somebody asks, the lead approves or denies, the role is granted and taken back.

These are the access changes of ordinary traffic.  Each member has at most one errand open, so
what is kept is bounded by the company's size.
"""

import heapq
from dataclasses import dataclass
from random import Random

from keytrail.producers.simulation import ids, words
from keytrail.producers.simulation.calendar import HOUR, MINUTE
from keytrail.producers.simulation.company import Company, Member, Posture
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.scribe import IDENTITY_SERVICE
from keytrail.schemas.records import Event, Micros

_LONGEST_HOURS = 30
_DENIED_OF_16 = 2
_PRIVILEGED_OF_16 = 1


@dataclass(frozen=True)
class _Errand:
    posture: Posture
    role: Role
    approver: Member
    ticket: str
    reason: str
    trace_id: str
    lasts: int


class Errands:
    """The errands that are open.  `traffic` asks what is due before it thinks of anything else."""

    def __init__(self, company: Company, end: Micros, rng: Random, producer_id: str) -> None:
        self._company = company
        self._producer_id = producer_id
        self._rng = rng
        self._end = end
        # What comes next of each errand: (when, order of asking, errand, granted yet).
        self._next: list[tuple[Micros, int, _Errand, bool]] = []
        self._asked = 0
        self._busy: set[int] = set()
        self.due = end
        """When the next event of an errand is due; the end of the period where none is open."""

    def may_begin(self, posture: Posture, now: Micros) -> bool:
        return (
            posture.may_borrow
            and posture.member.number not in self._busy
            and now + (_LONGEST_HOURS + 2) * HOUR < posture.until
        )

    def begin(self, posture: Posture, now: Micros, sequence: int) -> Event:
        """The lead's answer to the request; where it is yes, the rest follows in time."""
        rng = self._rng
        errand = _Errand(
            posture=posture,
            role=self._wanted(posture),
            approver=self._company.approver_for(posture.member, posture.team),
            ticket=ids.ticket(rng),
            reason=rng.choice(words.REASONS),
            trace_id=ids.hex_digits(rng, 32),
            lasts=rng.randint(HOUR, _LONGEST_HOURS * HOUR),
        )
        if rng.randrange(16) < _DENIED_OF_16:
            return self._event(errand, now, sequence, "deny", errand.approver)
        self._busy.add(posture.member.number)
        self._put(Micros(now + rng.randint(MINUTE, 4 * MINUTE)), errand, is_granted=False)
        return self._event(errand, now, sequence, "approve", errand.approver)

    def follow(self, now: Micros, sequence: int) -> Event:
        """The event that was due at `due`."""
        _, _, errand, is_granted = heapq.heappop(self._next)
        if is_granted:
            self._busy.discard(errand.posture.member.number)
            event = self._event(errand, now, sequence, "revoke", self._company.identity)
        else:
            event = self._event(errand, now, sequence, "grant", self._company.identity)
            self._put(Micros(now + errand.lasts), errand, is_granted=True)
        self.due = self._next[0][0] if self._next else self._end
        return event

    def _wanted(self, posture: Posture) -> Role:
        roles = posture.team.roles
        if self._rng.randrange(16) < _PRIVILEGED_OF_16:
            return roles.privileged
        return self._rng.choice(roles.temporary)

    def _put(self, at: Micros, errand: _Errand, *, is_granted: bool) -> None:
        self._asked += 1
        heapq.heappush(self._next, (at, self._asked, errand, is_granted))
        self.due = self._next[0][0]

    def _event(self, errand: _Errand, now: Micros, sequence: int, action: str, by: Member) -> Event:
        rng = self._rng
        is_change = by is self._company.identity
        return Event(
            event_id=ids.event_id(now, ids.hex_digits(rng, ids.EVENT_ID_DIGITS)),
            occurred_at=now,
            recorded_at=Micros(now + rng.randint(2_000, 400_000)),
            service=IDENTITY_SERVICE,
            environment=rng.choice(by.environments),
            actor_id=by.name,
            actor_type=by.type,
            key_id=by.key_id,
            key_alias=None,
            action=action,
            subject=errand.posture.member.name,
            role=errand.role.name,
            permissions=errand.role.permissions,
            reason=errand.reason,
            ticket=errand.ticket,
            approved_by=errand.approver.name if is_change else None,
            expires_at=Micros(now + errand.lasts) if action == "grant" else None,
            source_ip=rng.choice(by.addresses),
            user_agent=by.agent,
            trace_id=errand.trace_id,
            span_id=ids.hex_digits(rng, 16),
            correlation_id=errand.ticket,
            attributes=errand.posture.team.attributes,
            producer_id=self._producer_id,
            sequence=sequence,
        )
