"""What changes from one policy to another: their findings on the same events, side by side."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from keytrail.schemas.records import Anomaly, Micros

NOISIEST = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class RuleChange:
    """Counts of findings.  `in_force` are those of the policy in force; `by_day` those of the other policy,
    by the UTC day on which they were first seen."""

    rule: str
    in_force: int = 0
    new: int = 0
    gone: int = 0
    changed: int = 0
    same: int = 0
    by_day: Counter[date] = field(default_factory=Counter)


@dataclass
class Noise:
    """How often an entity was found, by the policy that is tried."""

    entity_type: str
    entity: str
    findings: int = 0
    count: int = 0


@dataclass(frozen=True)
class Comparison:
    """Rules by name, and the entities that would be heard of most, the noisiest first."""

    rules: list[RuleChange]
    noisiest: list[Noise]


def compare(in_force: Iterable[Anomaly], tried: Iterable[Anomaly]) -> Comparison:
    """Findings are the same one where rule, entity and cause are."""
    before = {anomaly.anomaly_id: anomaly for anomaly in in_force}
    after = {anomaly.anomaly_id: anomaly for anomaly in tried}
    rules: dict[str, RuleChange] = {}
    for anomaly_id, anomaly in {**before, **after}.items():
        change = rules.setdefault(anomaly.rule, RuleChange(anomaly.rule))
        _count(change, before.get(anomaly_id), after.get(anomaly_id))
    return Comparison([rules[name] for name in sorted(rules)], _noisiest(after))


def _count(change: RuleChange, old: Anomaly | None, new: Anomaly | None) -> None:
    change.in_force += old is not None
    if new is not None:
        change.by_day[day_of(new.first_seen)] += 1
    if old is None:
        change.new += 1
    elif new is None:
        change.gone += 1
    elif _figures(old) != _figures(new):
        change.changed += 1
    else:
        change.same += 1


def _figures(anomaly: Anomaly) -> tuple[str, int, bool]:
    return anomaly.severity, anomaly.count, anomaly.status == "resolved"


def _noisiest(findings: Mapping[str, Anomaly]) -> list[Noise]:
    noise: dict[tuple[str, str], Noise] = {}
    for anomaly in findings.values():
        name = anomaly.entity_type, anomaly.entity
        one = noise.setdefault(name, Noise(*name))
        one.findings += 1
        one.count += anomaly.count
    ranked = sorted(noise.values(), key=lambda one: (-one.count, one.entity_type, one.entity))
    return ranked[:NOISIEST]


def day_of(moment: Micros) -> date:
    """The UTC day."""
    return (_EPOCH + timedelta(microseconds=moment)).date()
