"""Cases that test a policy: keys and events in, findings out."""

from dataclasses import dataclass
from operator import attrgetter

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly, Event, Key
from keytrail.stream.backtest.backtest import Backtest, PastRecord
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.reading.source import Record

_DAY = 24 * 3600 * 1_000_000
_EVENT_SCHEMA = 1


@dataclass(frozen=True)
class Expected:
    """A finding; `status` is open, suppressed or resolved."""

    rule: str
    entity: str
    cause: str = ""
    status: str = "open"


@dataclass(frozen=True)
class Case:
    """The `keys` are known before the first of the `events`; `finds` is everything that is found."""

    name: str
    events: tuple[Event, ...]
    finds: tuple[Expected, ...] = ()
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a case should have found and did not, and what it found besides."""

    case: str
    missed: tuple[Expected, ...]
    unexpected: tuple[Expected, ...]

    @property
    def is_fine(self) -> bool:
        return not self.missed and not self.unexpected


def run(case: Case, policy: Policy) -> Outcome:
    """Judge the case's events as a worker would; the clock stands a day behind the latest of them."""
    directory = KeyDirectory()
    for key in case.keys:
        directory.apply(key)
    now = max(event.occurred_at for event in case.events) + _DAY
    backtest = Backtest(policy, directory, _EventSchema(), lambda: now)
    encode, frame = avro.encoder(avro.parse(avro.schema_text("event"))), wire.frame(_EVENT_SCHEMA)
    backtest.take(
        [
            PastRecord(0, Record(at, frame + encode(event), event.whose.encode()))
            for at, event in enumerate(case.events)
        ]
    )
    found = {_as_expected(anomaly) for anomaly in backtest.findings()}
    due = set(case.finds)
    order = attrgetter("rule", "entity", "cause", "status")
    return Outcome(case.name, tuple(sorted(due - found, key=order)), tuple(sorted(found - due, key=order)))


def _as_expected(anomaly: Anomaly) -> Expected:
    status = "open" if anomaly.status == "updated" else anomaly.status
    return Expected(anomaly.rule, anomaly.entity, anomaly.cause, status)


class _EventSchema:
    def text_of(self, _schema_id: int) -> str:
        return avro.schema_text("event")
