"""What the stages make of a simulated company: all that the catalogue has a rule for is hidden in it."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from functools import cache

import pytest
from world import FixedRegistry, value_of

from keytrail.producers.signing import Sign
from keytrail.producers.simulation import DEFAULT_START, Finding, Simulation
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly, Event, Micros
from keytrail.schemas.signature import SIGNATURE_HEADER, Masters, fingerprint
from keytrail.stream.backtest.backtest import Backtest, PastRecord
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.reading.source import Record

# A rule that fails is a defect of the product, not something that people do.
NOT_SIMULATED = {"rule_failure"}
MASTERS = Masters({"m1": bytes(range(32))})
FINGERPRINT = fingerprint(avro.schema_text("event"))
# The worker's clock: a while after the company's half year, as it has to be, and long before and after that.
LATER: Micros = 1_800_000_000_000_000
EARLY: Micros = 1_610_000_000_000_000
LATE: Micros = 30_000_000_000_000_000
BY_POLICY = ("missing_signature", "invalid_signature", "expired_exception")


@cache
def simulation(start: date = DEFAULT_START) -> Simulation:
    return Simulation(3_000, 4, start, own_policy=True)


def record(offset: int, event: Event, sign: Sign) -> Record:
    value = value_of(event)
    signature = sign(event, FINGERPRINT, value[wire.HEADER_LENGTH :])
    headers = [] if signature is None else [(SIGNATURE_HEADER, signature)]
    return Record(offset, value, event.whose.encode(), headers=headers)


def found(of: Simulation, now: Micros = LATER, masters: Masters = MASTERS) -> list[Anomaly]:
    """By the company's own policy, at this moment of the worker's clock."""
    directory = KeyDirectory()
    for key in list(of.keys()):
        directory.apply(key)
    policy = parse_policy(of.policy(), "the company's policy")
    backtest = Backtest(policy, directory, FixedRegistry(), lambda: now, lambda: masters)
    sign = of.signer(MASTERS)
    past = [PastRecord(0, record(offset, event, sign)) for offset, event in enumerate(of.events())]
    backtest.take(past)
    return backtest.findings()


def named(anomalies: Iterable[Anomaly]) -> set[Finding]:
    return {Finding(a.rule, a.entity_type, a.entity, a.cause) for a in anomalies}


def due(of: Simulation, *rules: str) -> set[Finding]:
    return {label.finding for label in of.truth() if label.expected and (not rules or label.rule in rules)}


def test_every_rule_is_hidden_and_has_near_misses() -> None:
    """Whoever adds a rule has to hide it in the simulation, too (`docs/writing-a-rule.md`)."""
    labels = simulation().truth()
    hidden = Counter(label.rule for label in labels if label.expected)
    near = Counter(label.rule for label in labels if not label.expected)
    assert hidden.keys() == near.keys() == RULES.keys() - NOT_SIMULATED
    assert min(hidden.values()) >= 2


def test_what_is_hidden_is_found_and_nothing_else() -> None:
    assert named(found(simulation())) == due(simulation())


@pytest.mark.parametrize(("start", "now"), [(date(1995, 1, 2), EARLY), (DEFAULT_START, LATE)])
def test_it_does_not_matter_when_the_company_was_or_what_day_it_is(start: date, now: Micros) -> None:
    of = simulation(start)
    some = {finding for finding in named(found(of, now)) if finding.rule in BY_POLICY}
    assert some == due(of, *BY_POLICY)


def test_what_an_exception_covers_is_suppressed_and_what_it_covered_is_open() -> None:
    exports = {a.entity: a.status for a in found(simulation()) if a.cause == "exports"}
    over = {finding.entity for finding in due(simulation(), "expired_exception")}
    near = {
        label.entity: label.note
        for label in simulation().truth()
        if label.rule == "expired_exception" and not label.expected
    }
    assert {exports[entity] for entity in over} == {"open"}
    assert {note: exports[entity] for entity, note in near.items()} == {
        "its exception is not over": "suppressed",
        "one exception is over, and another holds": "suppressed",
        "the exception that is over was for another cause": "open",
    }


def test_of_a_worker_without_the_master_secret_only_signatures_are_not_found() -> None:
    blind = named(found(simulation(), masters=Masters({})))
    assert due(simulation()) - blind == due(simulation(), "invalid_signature")
    assert blind < due(simulation())
