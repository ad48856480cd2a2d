"""What keys do over all subjects: told in tallies, and the same in whichever order and groups it comes."""

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, FixedRegistry, World, event, key

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly, Event, Signal
from keytrail.schemas.topics import MAX_MESSAGE_BYTES, SIGNALS
from keytrail.stream.conduct.limits import (
    BurstLimits,
    CadenceLimits,
    DormancyLimits,
    NetworkLimits,
    RefusalLimits,
    SharingLimits,
    TravelLimits,
)
from keytrail.stream.conduct.tallies import network_of
from keytrail.stream.detections.catalogue import CONDUCT_RULES
from keytrail.stream.findings.signal_reading import SignalReader
from keytrail.stream.policies.places import Place
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot

MINUTE = 60 * SECOND
RULES = {asked.rule.name for asked in CONDUCT_RULES}
# Small limits, so that random lives meet them.
POLICY = Policy(
    burst=BurstLimits(given=3, taken=3, by_provisioners=4, minutes=3),
    refusals=RefusalLimits(least=2, minutes=3),
    dormancy=DormancyLimits(days=3),
    networks=NetworkLimits(days=2, days_of_use=2),
    sharing=SharingLimits(actors=2),
    cadence=CadenceLimits(hours=3),
    travel=TravelLimits(
        speed_kmh=100,
        places=(
            Place("Berlin", ("192.0.2.0/24",), 52.5, 13.4),
            Place("Munich", ("198.51.100.0/24", "2001:db8::/48"), 48.1, 11.6),
        ),
    ),
)
KEYS = (
    key("pk_person"),
    key("pk_service", kind="service", scope_networks=["10.0.0.0/8"]),
    key("pk_provisioner", kind="service", scope_actions=["grant", "revoke"]),
    key("pk_new", issued_at=NOON + DAY),
)
_deeds = st.builds(
    lambda **fields: fields,
    action=st.sampled_from(["grant", "grant", "revoke", "suspend_key", "delete", "use", "login", "create"]),
    outcome=st.sampled_from(["success", "success", "success", "denied", "failure"]),
    actor_id=st.sampled_from(["alice", "bob", "carol", "dave"]),
    subject=st.sampled_from(["alice", "erin", None]),
    source_ip=st.sampled_from([None, "192.0.2.7", "192.0.2.8", "198.51.100.1", "2001:db8::1"]),
    key_id=st.sampled_from([known.key_id for known in KEYS]),
    day=st.sampled_from([0, 0, 0, 1, 2, 5, 9]),
    seconds=st.one_of(st.integers(0, 900), st.integers(0, 20_000)),
)
_lives = st.lists(_deeds, min_size=3, max_size=40)


def _events(life: list[dict[str, object]]) -> list[Event]:
    made = []
    for number, deed in enumerate(life):
        fields = dict(deed)
        at = NOON + int(str(fields.pop("day"))) * DAY + int(str(fields.pop("seconds"))) * SECOND + number
        made.append(event(**fields, reason="asked", role="reader", occurred_at=at, recorded_at=at))
    return sorted(made, key=lambda one: (one.occurred_at, one.event_id))


Found = dict[tuple[str, str, str], tuple[object, ...]]


def conduct_findings(world: World) -> Found:
    """What is open in the end, with its figures and evidence."""
    return {
        name: (a.count, a.first_seen, a.last_seen, tuple(a.evidence), a.summary, a.remedy, a.details)
        for name, a in world.current().items()
        if a.rule in RULES and a.status != "resolved"
    }


def _found(events: list[Event], batch: int) -> Found:
    world = World(KEYS, policy=POLICY, clock=lambda: NOON + 30 * DAY)
    # The first that was seen lies before all that comes.
    world.send(event(action="login", occurred_at=NOON - 1))
    world.send(*events, batch=batch)
    return conduct_findings(world)


def _others(found: Found) -> Found:
    return {name: what for name, what in found.items() if name[0] != "denials_then_success"}


@settings(max_examples=150, deadline=None)
@given(_lives, st.randoms(use_true_random=False), st.sampled_from([1, 3, 1000]))
def test_neither_the_order_of_arrival_nor_the_batches_matter(
    life: list[dict[str, object]], chance: Random, batch: int
) -> None:
    events = _events(life)
    shuffled = list(events)
    chance.shuffle(shuffled)
    in_order, at_random = _found(events, 1000), _found(shuffled, batch)
    assert _others(at_random) == _others(in_order)
    # Of successes the latest alone is remembered until word of a refusal comes: some seconds late, not days.
    late = sorted(events, key=lambda one: one.occurred_at + chance.randint(0, 5 * SECOND))
    assert _found(late, batch) == in_order


@settings(max_examples=100, deadline=None)
@given(_lives, st.integers(0, 40))
def test_a_restart_forgets_nothing(life: list[dict[str, object]], half: int) -> None:
    events = _events(life)
    whole, first, second = (World(KEYS, policy=POLICY, clock=lambda: NOON + 30 * DAY) for _ in range(3))
    whole.send(*events, batch=2)
    first.send(*events[:half], batch=2)
    for name, value in first.changelog:
        second.events.restore(name, value)
    for name, value in first.finding_changelog:
        second.findings.restore(name, value)
    second.anomalies += first.anomalies
    second.send(*events[half:], batch=2)
    assert conduct_findings(second) == conduct_findings(whole)


def burst(action: str = "grant", many: int = 25, apart: int = 10 * SECOND, **fields: object) -> list[Event]:
    return [
        event(
            **{"key_id": "pk_1", "reason": "move", "role": "reader", **fields},
            action=action,
            subject=f"user-{number}",
            occurred_at=NOON + number * apart,
            recorded_at=NOON + number * apart,
        )
        for number in range(many)
    ]


def found(world: World, rule: str) -> list[Anomaly]:
    return [anomaly for anomaly in world.current().values() if anomaly.rule == rule]


def test_grants_by_the_dozen_are_one_finding_with_the_fullest_stretch_as_its_count() -> None:
    world = World([key()])
    world.send(*burst(many=30), *burst(many=2, apart=1), batch=7)
    [anomaly] = found(world, "provisioning_burst")
    assert (anomaly.entity, anomaly.count, anomaly.status) == ("pk_1", 32, "updated")
    assert anomaly.first_seen == NOON
    assert anomaly.last_seen == NOON + 290 * SECOND
    assert "keytrail keys suspend pk_1" in anomaly.remedy
    assert len(anomaly.evidence) == 10


def test_grants_that_are_few_slow_denied_or_by_a_provisioner_are_no_burst() -> None:
    world = World([key(), key("pk_hr", scope_actions=["grant"])])
    world.send(*burst(many=24), *burst(apart=MINUTE, many=20, outcome="denied"), *burst(key_id="pk_hr"))
    assert found(world, "provisioning_burst") == []
    slow = World([key()])
    slow.send(*burst(many=60, apart=MINUTE))
    assert found(slow, "provisioning_burst") == []


def test_access_taken_from_many_is_a_mass_revocation() -> None:
    world = World([key()])
    mixed = burst("revoke", 10), burst("suspend_key", 10, role=None), burst("delete", 10, role=None)
    world.send(*(one for some in mixed for one in some))
    [anomaly] = found(world, "mass_revoke")
    assert (anomaly.count, anomaly.severity) == (30, "critical")


def test_things_that_are_deleted_are_nobodys_access() -> None:
    world = World([key()])
    world.send(
        *burst("delete", 60, role="editor"), *burst("delete", 60, apart=1, role=None, actor_id="user-1")
    )
    assert [a.count for a in found(world, "mass_revoke")] == [59], "what it deletes of its own does not count"


def test_a_rule_that_is_off_costs_no_signal() -> None:
    off = Policy(rules=tuple(RuleSetting(name, enabled=False) for name in sorted(RULES)))
    world = World([key()], policy=off)
    [output] = world.send(*burst())
    assert all(signal.tally is None for signal in output.signals)


def test_an_unknown_key_has_no_conduct() -> None:
    world = World()
    [output] = world.send(*burst())
    assert all(signal.tally is None for signal in output.signals)


def test_what_says_nothing_new_is_not_told_again() -> None:
    world = World([key(), key("pk_service", kind="service")])
    began = NOON - NOON % DAY
    for name, told in (("pk_1", [0, 6, 12]), ("pk_service", [0])):
        at = [began + number * 10 * MINUTE for number in range(18)]
        uses = [event(key_id=name, source_ip="192.0.2.7", occurred_at=one, recorded_at=one) for one in at]
        outputs = [world.send(use)[0] for use in uses]
        tallies = [[signal for signal in output.signals if signal.tally] for output in outputs]
        assert [number for number, some in enumerate(tallies) if some] == told


def test_signals_of_the_version_before_are_still_read() -> None:
    old = Signal(
        *("unknown_key", "key", "AKIA1", "", True, "high", "used", "look"),
        *([], 3, NOON, NOON, {}, "0123456789ab"),
    )
    registry = FixedRegistry()
    text = avro.schema_text("signal", 1)
    schema_id = registry.register(SIGNALS, text)
    datum = avro.encoder(avro.parse(text))(old)
    reader = SignalReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    [read], dead = reader.read(0, [Record(0, wire.frame(schema_id) + datum, b"AKIA1")])
    assert (read.signal, dead) == (old, [])


def test_a_tally_goes_over_the_topic_unchanged() -> None:
    world = World([key(issued_at=NOON + 1)])
    world.send(event(occurred_at=NOON))
    [output] = world.send(*burst(source_ip="192.0.2.7"))
    [signal] = [signal for signal in output.signals if signal.tally is not None]
    registry = FixedRegistry()
    text = avro.schema_text("signal")
    schema_id = registry.register(SIGNALS, text)
    datum = avro.encoder(avro.parse(text))(signal)
    reader = SignalReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    [read], _ = reader.read(0, [Record(0, wire.frame(schema_id) + datum, b"pk_1")])
    assert read.signal == signal
    fields = {field["name"]: field for field in json.loads(avro.schema_text("signal"))["fields"]}
    assert fields["tally"]["default"] is None


def test_what_a_key_does_is_told_in_pieces_that_fit_a_record() -> None:
    world = World([key()])
    texts = "\U0001f511" * 600
    [output] = world.send(
        *(
            event(key_id="pk_1", action=f"{number}{texts}", outcome="denied", actor_id=texts)
            for number in range(1_200)
        ),
        batch=2_000,
    )
    tallies = [signal.tally for signal in output.signals if signal.tally is not None]
    assert [len(tally.deeds) for tally in tallies] == [500, 500, 200]
    encode = avro.encoder(avro.parse(avro.schema_text("signal")))
    assert all(len(encode(signal)) < MAX_MESSAGE_BYTES for signal in output.signals)


def test_networks_are_whole_and_text_that_is_no_address_is_none() -> None:
    assert network_of("192.0.2.7") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network_of("AWS Internal") is None
