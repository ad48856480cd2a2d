"""Services that sign what they send, and events in their names that they cannot have sent."""

from keytrail.producers.simulation.calendar import DAY
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.injections.newcomers import newcomer
from keytrail.producers.simulation.policy import VAULT
from keytrail.producers.simulation.signatures import Hand
from keytrail.producers.simulation.stage import Stage, begin_of
from keytrail.schemas.records import Event, Micros

_ARCHIVE = "archive"  # a kind of service that need not sign
_OVERLAP = 7 * DAY
_SPAN = 14  # days that a secret's replacement and the uses around it take, a weekend before it counted in


def unsigned_of_a_service_that_signs(stage: Stage, day: int) -> None:
    service = _Service(stage, VAULT)
    service.misses([service.act(stage.moment(day))], "its service signs all that it sends")


def unsigned_with_a_key_that_signs(stage: Stage, day: int) -> None:
    service = _Service(stage, _ARCHIVE, must_sign=True)
    event = service.act(stage.moment(day))
    service.misses([event], "all that is done with its key is signed")


def unsigned_without_a_key(stage: Stage, day: int) -> None:
    service = _Service(stage, VAULT)
    event = service.act(stage.moment(day), has_key=False)
    note = "its service signs all that it sends, and it names no key"
    stage.expect("missing_signature", "service", service.name, service.name, [event], note)


def signed_of_a_service_that_signs(stage: Stage, day: int) -> None:
    service = _Service(stage, VAULT)
    service.misses_not([service.act(stage.moment(day), version=1)], "its service signs, and has signed it")


def signed_with_a_key_that_signs(stage: Stage, day: int) -> None:
    service = _Service(stage, _ARCHIVE, must_sign=True)
    event = service.act(stage.moment(day), version=1)
    service.misses_not([event], "what is done with its key is signed, and so is this")


def unsigned_of_a_service_that_need_not(stage: Stage, day: int) -> None:
    service = _Service(stage, _ARCHIVE)
    service.misses_not([service.act(stage.moment(day))], "nobody says that it has to be signed")


def signed_with_another_keys_secret(stage: Stage, day: int) -> None:
    service, other = _Service(stage, VAULT), _Service(stage, VAULT)
    event = service.act(stage.moment(day))
    stage.sign(event, Hand(other.key_id))
    service.forged([event], "signed with the secret of another key")


def altered_on_its_way(stage: Stage, day: int) -> None:
    service = _Service(stage, VAULT)
    event = service.act(stage.moment(day))
    stage.sign(event, Hand(service.key_id, alters=True))
    service.forged([event], "what was signed is not what was sent")


def secret_after_its_overlap(stage: Stage, day: int) -> None:
    service, at = _Service(stage, VAULT), stage.moment(begin_of(day, _SPAN))
    service.replace_secret(at)
    service.goes_on([service.act(Micros(at + _OVERLAP + DAY), version=1)], "a secret beyond its overlap")


def last_but_one_within_an_overlap(stage: Stage, day: int) -> None:
    service, at = _Service(stage, VAULT), stage.moment(begin_of(day, _SPAN))
    service.replace_secret(Micros(at - 2 * _OVERLAP))
    service.replace_secret(at)
    event = service.act(Micros(at + DAY), version=1)
    service.goes_on([event], "two secrets have followed, and the overlap is that of the second")


def signed_unasked(stage: Stage, day: int) -> None:
    service = _Service(stage, _ARCHIVE)
    event = service.act(stage.moment(day), version=1)
    service.forged_not([event], "it need not be signed, and the signature fits")


def secret_within_its_overlap(stage: Stage, day: int) -> None:
    service, at = _Service(stage, VAULT), stage.moment(begin_of(day, _SPAN))
    service.replace_secret(at)
    events = [
        service.act(Micros(at - DAY), version=1),
        service.act(Micros(at + _OVERLAP - DAY), version=1),
        service.act(Micros(at + _OVERLAP + DAY), version=2),
    ]
    service.goes_on_not(events, "the old secret was last used a day before the end of its overlap")


class _Service:
    """A service of a project, with a key of its own that has its first secret from the beginning."""

    def __init__(self, stage: Stage, kind: str, *, must_sign: bool = False) -> None:
        """`must_sign`: the company's own policy says so of its key."""
        self._stage = stage
        self._member = newcomer(stage, candidates.service)
        key = stage.further_key(self._member, "for the new project")
        self.key_id = key.key_id
        stage.keys.give_secret(self.key_id, key.changed_at, 0, key.changed_by)
        if must_sign:
            stage.plan.signing_keys.append(self.key_id)
        self.name = f"{self._member.team.name}-{kind}"

    def replace_secret(self, at: Micros) -> None:
        self._stage.keys.give_secret(self.key_id, at, _OVERLAP, "security-office")

    def act(self, at: Micros, *, version: int = 0, has_key: bool = True) -> Event:
        """`version`: of the secret that it signs with; 0: it does not."""
        event = self._stage.scribe.event(
            at,
            "use",
            self._member,
            service=self.name,
            key_id=self.key_id if has_key else None,
            source_ip=self._member.addresses[0],
        )
        self._stage.tell(event)
        if version:
            self._stage.sign(event, Hand(self.key_id, version))
        return event

    def misses(self, events: list[Event], note: str) -> None:
        self._stage.expect("missing_signature", "key", self.key_id, self.name, events, note)

    def misses_not(self, events: list[Event], note: str) -> None:
        self._stage.spare("missing_signature", "key", self.key_id, self.name, events, note)

    def forged(self, events: list[Event], note: str) -> None:
        self._stage.expect("invalid_signature", "key", self.key_id, "", events, note)

    def forged_not(self, events: list[Event], note: str) -> None:
        self._stage.spare("invalid_signature", "key", self.key_id, "", events, note)

    def goes_on(self, events: list[Event], note: str) -> None:
        """With a secret that was replaced."""
        self._stage.expect("invalid_signature", "key", self.key_id, "old secret", events, note)

    def goes_on_not(self, events: list[Event], note: str) -> None:
        self._stage.spare("invalid_signature", "key", self.key_id, "old secret", events, note)
