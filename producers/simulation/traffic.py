"""Ordinary traffic: people by day, services round the clock, those on call at night.

None of it is an anomaly.  Events come in the order of the simulated clock, except that one in
sixteen arrives late, up to `LATEST` after it happened.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from random import Random

from keytrail.producers.simulation import ids, words
from keytrail.producers.simulation.calendar import DAY, HOUR, Calendar, Slot, shares
from keytrail.producers.simulation.company import Company, Member, Posture
from keytrail.producers.simulation.errands import Errands
from keytrail.producers.simulation.stage import INVENTORY_HOURS, Duty, Plan, Shift
from keytrail.schemas.records import Event, Micros

LATEST = 1 << 22  # microseconds, about 4 s
# Small simulations have few events for many members: so many go with each who works, about a third of them by
# people, so that nobody rests for longer than this.
_EVENTS_A_PERSON = 32
_EVENTS_A_SERVICE = 20
LONGEST_REST = 30 * DAY

# One byte of chance picks what is done: the shares are parts of 256.
_PEOPLE_DO = (
    ("ask",) * 20
    + ("login",) * 22
    + ("create",) * 8
    + ("update",) * 14
    + ("delete",) * 3
    + ("refused",) * 6
    + ("failed",) * 4
)
_SERVICES_DO = ("create",) * 6 + ("update",) * 16 + ("refused",) * 3 + ("failed",) * 5
_WORK = ("create", "update", "delete")
_FEW_TRIES = 16
_NO_PERMISSIONS: list[str] = []


class Traffic:
    """One run of the traffic; `events` may be called once."""

    def __init__(
        self, company: Company, plan: Plan, calendar: Calendar, rng: Random, producer_id: str
    ) -> None:
        self._calendar = calendar
        self._rng = rng
        self._bits = rng.getrandbits
        self._producer_id = producer_id
        self._sequence = 0
        self._shifts: deque[Shift] = deque(sorted(plan.shifts, key=lambda shift: shift.at))
        self._duties: deque[Duty] = deque(sorted(plan.duties, key=lambda duty: duty.at))
        self._postures = [plan.opening[member.number] for member in company.members]
        self._company = company
        self._people: list[int] = []
        self._services: list[int] = []
        self._resting: dict[bool, dict[int, Micros]] = {}
        self._on_call: dict[str, int] = {}
        self._watch: list[int] = []
        self._people_do = _spread(_PEOPLE_DO)
        self._services_do = _spread(_SERVICES_DO)
        self._errands = Errands(company, calendar.end, rng, producer_id)

    def events(self, count: int) -> Iterator[Event]:
        """Exactly `count` events from the inventory's end to the period's end."""
        bits, errands = self._bits, self._errands
        self._gather(count)
        for slot, number in shares(self._calendar.slots(INVENTORY_HOURS), count):
            self._begin(slot)
            people_of_256 = self._share_of_people(slot)
            for place in range(number):
                # Evenly spread with a random place within each part: in order without sorting.
                now = Micros(slot.begin + (place * HOUR + (bits(20) * HOUR >> 20)) // number)
                self._sequence += 1
                if errands.due <= now:
                    yield errands.follow(now, self._sequence)
                elif bits(8) < people_of_256:
                    yield self._person(now, slot)
                else:
                    yield self._service(now)

    def _gather(self, count: int) -> None:
        """Choose who works with so many events: no more members than can be there from time to time.

        Leads are always needed, and so is who is on call.
        """
        members = list(self._company.members)
        self._rng.shuffle(members)
        on_call = {duty.number for duty in self._duties}
        needed = {member.number for member in members if member.is_lead or member.number in on_call}
        members.sort(key=lambda member: member.number not in needed)
        people = [m for m in members if m.is_human][: max(len(needed), count // _EVENTS_A_PERSON)]
        services = [m for m in members if not m.is_human][: max(1, count // _EVENTS_A_SERVICE)]
        self._people = _weighted(people, self._rng)
        self._services = _weighted(services, self._rng)
        for some in (people, services):
            self._resting[some[0].is_human] = dict.fromkeys((m.number for m in some), self._calendar.begin)

    def _begin(self, slot: Slot) -> None:
        while self._shifts and self._shifts[0].at <= slot.begin:
            shift = self._shifts.popleft()
            self._postures[shift.number] = shift.posture
        while self._duties and self._duties[0].at <= slot.begin:
            duty = self._duties.popleft()
            self._on_call[duty.team] = duty.number
            self._watch = list(self._on_call.values())

    def _share_of_people(self, slot: Slot) -> int:
        if not slot.working and not self._watch:
            return 0
        return 256 * slot.people // (slot.people + slot.services)

    def _person(self, now: Micros, slot: Slot) -> Event:
        if not slot.working:
            return self._act(self._pick(self._watch), now, "use", on_call=True)
        if (rested := self._rested(now, is_human=True)) is not None:
            return self._act(rested, now, "login")
        posture = self._pick(self._people)
        doing = self._people_do[self._bits(8)] if posture.member.is_human else "use"
        if doing == "ask":
            if self._errands.may_begin(posture, now):
                return self._errands.begin(posture, now, self._sequence)
            doing = "use"
        return self._act(posture, now, doing)

    def _service(self, now: Micros) -> Event:
        posture = self._rested(now, is_human=False) or self._pick(self._services)
        return self._act(posture, now, self._services_do[self._bits(8)])

    def _rested(self, now: Micros, *, is_human: bool) -> Posture | None:
        """Who has not been heard of for longest, if that is longer than anybody who works here rests."""
        resting = self._resting[is_human]
        number = next(iter(resting), None)
        if number is None or now - resting[number] < LONGEST_REST:
            return None
        posture = self._postures[number]
        if posture.is_present:
            return posture
        self._heard(posture, now)
        return None

    def _heard(self, posture: Posture, now: Micros) -> None:
        """They are in the order in which they were last heard of."""
        resting = self._resting[posture.member.is_human]
        if resting.pop(posture.member.number, None) is not None:
            resting[posture.member.number] = now

    def _pick(self, table: Sequence[int]) -> Posture:
        """Somebody of the table who is present; a service where nobody seems to be, as those always are."""
        for _ in range(_FEW_TRIES):
            posture = self._postures[table[self._bits(32) % len(table)]]
            if posture.is_present:
                return posture
        return self._pick(self._services)

    def _act(self, posture: Posture, now: Micros, doing: str, *, on_call: bool = False) -> Event:
        member = posture.member
        self._heard(posture, now)
        chance = self._bits(64)
        digits = ids.hex_digits(self._rng, ids.EVENT_ID_DIGITS + 32 + 16)
        at = Micros(now - (chance >> 4 & LATEST - 1)) if chance & 15 == 0 else now
        role = (
            posture.team.roles.on_call if on_call else posture.roles[(chance >> 26 & 63) % len(posture.roles)]
        )
        is_login = doing == "login"
        key_id: str | None = posture.key_id
        key_alias = None
        if not member.is_human and chance >> 32 & 15 == 0:
            # Some services know no more than the token's hash, or do not say what they used.
            key_id, key_alias = None, posture.key_alias
        return Event(
            event_id=ids.event_id(at, digits[: ids.EVENT_ID_DIGITS]),
            occurred_at=at,
            recorded_at=Micros(now + 2_000 + (chance >> 36 & 0x3FFFF)),
            service="sign-on" if is_login else role.service,
            environment=member.environments[(chance >> 54 & 7) % len(member.environments)],
            actor_id=member.name,
            actor_type=member.type,
            key_id=key_id,
            key_alias=key_alias,
            action=doing if is_login or doing in _WORK else "use",
            subject=member.name if not member.is_human else None,
            role=None if is_login else role.name,
            permissions=_NO_PERMISSIONS,
            resource=None if is_login else role.resources[(chance >> 57 & 7) % len(role.resources)],
            outcome="denied" if doing == "refused" else "failure" if doing == "failed" else "success",
            error=(
                "access denied"
                if doing == "refused"
                else words.ERRORS[chance >> 60 & 3]
                if doing == "failed"
                else None
            ),
            source_ip=member.addresses[(chance >> 60 & 15) % len(member.addresses)],
            user_agent=member.agent,
            trace_id=digits[18:50],
            span_id=digits[50:],
            attributes=posture.team.attributes,
            producer_id=self._producer_id,
            sequence=self._sequence,
        )


def _weighted(members: Sequence[Member], rng: Random) -> list[int]:
    """The members' numbers, each as often as the member is busy: most a little, a few a lot."""
    return [m.number for m in members for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 6, 10)))]


def _spread(doings: Sequence[str]) -> tuple[str, ...]:
    """256 doings: those named, and use for the rest."""
    return (*doings, *("use" for _ in range(256 - len(doings))))
