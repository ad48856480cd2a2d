"""Where the period is planned: the company, chance, and the plan as it grows."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random

from keytrail.producers.simulation.calendar import DAY, DAYS, HOUR, MINUTE, SECOND, Calendar, hour_of
from keytrail.producers.simulation.company import Company, Member, Posture
from keytrail.producers.simulation.keys import KeyRing, Scope
from keytrail.producers.simulation.policy import Described, Excepted
from keytrail.producers.simulation.roles import Role
from keytrail.producers.simulation.scribe import Scribe
from keytrail.producers.simulation.signatures import Hand
from keytrail.producers.simulation.truth import Label
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event, Key, Micros

# The first hours belong to the inventory of existing access; nobody does anything else yet.
INVENTORY_HOURS = 6
# Anomalies begin a month in: until then all of the company's roles are young.
FIRST_DAY = 32
LAST_DAY = DAYS - 6
_LABELLED_EVENTS = 5


def begin_of(day: int, span: int) -> int:
    """The first day of something that takes `span` days, so that a later `day` still means a later begin."""
    share = (day - FIRST_DAY) / (LAST_DAY - FIRST_DAY)
    return FIRST_DAY + int(share * (LAST_DAY - FIRST_DAY - span))


@dataclass(frozen=True)
class Shift:
    """From `at` on, a full hour, ordinary traffic sees the member so."""

    at: Micros
    number: int
    posture: Posture


@dataclass(frozen=True)
class Duty:
    """From `at` on, a full hour, the member is on call for its team."""

    at: Micros
    team: str
    number: int


@dataclass
class Plan:
    """What was decided before the first event: events by id, and everybody's posture at the start.

    `hands` are those of the events that are signed, by id; `described`, `signing_keys` and `exceptions` are
    what the company's own policy says.
    """

    events: dict[str, Event] = field(default_factory=dict)
    opening: dict[int, Posture] = field(default_factory=dict)
    shifts: list[Shift] = field(default_factory=list)
    duties: list[Duty] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    described: list[Described] = field(default_factory=list)
    hands: dict[str, Hand] = field(default_factory=dict)
    signing_keys: list[str] = field(default_factory=list)
    exceptions: list[Excepted] = field(default_factory=list)


class Stage:
    """Used by whoever adds to the plan, one after another; the order is part of what a seed means.

    `catalogue` holds the daily roles of all ordinary teams.
    """

    def __init__(self, company: Company, keys: KeyRing, calendar: Calendar, rng: Random) -> None:
        self.company = company
        self.keys = keys
        self.calendar = calendar
        self.rng = rng
        self.scribe = Scribe(company, rng)
        self.plan = Plan()
        self.catalogue = [
            role for team in company.teams if team.kind == "ordinary" for role in team.roles.daily
        ]
        self._unclaimed = list(company.members)
        rng.shuffle(self._unclaimed)
        self._claimed: set[int] = set()
        self._teams_of_loners: set[str] = set()

    def claim(self, suits: Callable[[Member], bool], *, alone: bool = False) -> Member:
        """A member that nobody else on this stage has anything to do with.

        `alone`: nor does anybody who asks so get a second member of that team.
        """
        for place, member in enumerate(self._unclaimed):
            if suits(member) and not (alone and member.team.name in self._teams_of_loners):
                if alone:
                    self._teams_of_loners.add(member.team.name)
                del self._unclaimed[place]
                self._claimed.add(member.number)
                return member
        raise UsageError("The simulated company is too small for its anomalies.", "Ask for more events.")

    def is_claimed(self, member: Member) -> bool:
        return member.number in self._claimed

    def further_key(
        self,
        owner: Member,
        reason: str,
        *,
        scope: Scope | None = None,
        parent_key: str | None = None,
        break_glass: bool = False,
    ) -> Key:
        """One more key of the member's, from before the first day; without a scope good for anything."""
        return self.keys.issue(
            owner.name,
            owner.type,
            owner.team.name,
            Micros(self.calendar.begin - 60 * DAY),
            scope or Scope(),
            reason=reason,
            by="security-office",
            parent_key=parent_key,
            break_glass=break_glass,
        )

    def retire(self, member: Member, at: Micros) -> None:
        """Ordinary traffic sees no more of a claimed member from the hour before on."""
        usual = Posture(member, member.team, member.roles, member.key_id, None, self.calendar.end, False)
        hour = hour_of(at, self.calendar.begin)
        self.plan.shifts.append(Shift(Micros(hour - HOUR), member.number, replace(usual, is_present=False)))

    def describe(self, role: Role, *within: Role) -> None:
        """The company's own policy says what the role gives and has within it."""
        self.plan.described.append(Described(role, tuple(each.name for each in within)))

    def tell(self, *events: Event) -> None:
        """These events happen; to tell one again changes nothing."""
        self.plan.events.update((event.event_id, event) for event in events)

    def sign(self, event: Event, hand: Hand) -> None:
        """The event is sent with this hand's signature."""
        self.plan.hands[event.event_id] = hand

    def expect(
        self, rule: str, entity_type: str, entity: str, cause: str, events: list[Event], note: str
    ) -> None:
        """These events are an anomaly."""
        self._label(rule, entity_type, entity, cause, events, note, expected=True)

    def spare(
        self, rule: str, entity_type: str, entity: str, cause: str, events: list[Event], note: str
    ) -> None:
        """These events come near one and are none."""
        self._label(rule, entity_type, entity, cause, events, note, expected=False)

    def _label(
        self,
        rule: str,
        entity_type: str,
        entity: str,
        cause: str,
        events: list[Event],
        note: str,
        *,
        expected: bool,
    ) -> None:
        self.tell(*events)
        ordered = sorted(events, key=lambda event: event.occurred_at)
        ids = [event.event_id for event in ordered[:_LABELLED_EVENTS]]
        at = datetime.fromtimestamp(ordered[-1].occurred_at / SECOND, UTC).isoformat()
        self.plan.labels.append(Label(rule, entity_type, entity, cause, expected, ids, at, note))

    def granted(
        self,
        subject: Member,
        role: Role,
        at: Micros,
        *,
        reason: str | None = None,
        expires_at: Micros | None = None,
    ) -> Event:
        """A grant as it should be: for a reason, with a ticket, approved.  It is yet to be told."""
        return self.scribe.change(
            at,
            "grant",
            subject,
            role=role,
            reason=reason or self.scribe.reason(),
            ticket=self.scribe.ticket(),
            approved_by=self.company.approver_for(subject).name,
            expires_at=expires_at,
        )

    def moment(self, day: int) -> Micros:
        """A moment of the first working day from `day` on."""
        return self.calendar.working_moment(day, self.rng)

    def soon_after(self, at: Micros) -> Micros:
        """One to four minutes later."""
        return Micros(at + self.rng.randint(MINUTE, 4 * MINUTE))
