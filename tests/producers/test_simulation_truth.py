"""The labels are right: a naive judge finds what is labelled, and nothing else."""

from collections import Counter

import pytest
from signature_judge import MASTER
from simulation_judge import judge

from keytrail.producers.simulation import Simulation
from keytrail.schemas.signature import Masters

RULES = {
    "unknown_key",
    "expired_key",
    "revoked_key",
    "suspended_key",
    "out_of_scope",
    "privileged_grant",
    "key_for_other",
    "trust_change",
    "escalation_path",
    "self_grant",
    "self_approval",
    "toxic_combination",
    "overdue_grant",
    "flapping",
    "role_explosion",
    "orphaned_access",
    "orphaned_key",
    "key_lineage",
    "orphaned_child_key",
    "outside_change_window",
    "mover_keeps_roles",
    "break_glass_use",
    "interactive_service_key",
    "clock_skew",
    "missing_reason",
    "redundant_grant",
    "role_sprawl",
    "provisioning_burst",
    "mass_revoke",
    "dormant_key_awakes",
    "denials_then_success",
    "new_network",
    "shared_key",
    "automation_cadence",
    "impossible_travel",
    "audit_silence",
    "break_glass_unreviewed",
    "dormant_privileged_key",
    "sequence_holes",
}
OF_OWN_POLICY = {"missing_signature", "invalid_signature", "expired_exception"}


@pytest.mark.parametrize(
    ("events", "seed"),
    [*((3_000, seed) for seed in range(1, 11)), *((20_000, seed) for seed in range(1, 5)), (100_000, 7)],
)
def test_a_naive_judge_finds_exactly_what_is_labelled(events: int, seed: int) -> None:
    simulation = Simulation(events, seed)
    expected = {label.finding for label in simulation.truth() if label.expected}

    assert judge(simulation.keys(), simulation.events()) == expected


@pytest.mark.parametrize(("events", "seed"), [(3_000, 2), (20_000, 5)])
def test_by_its_own_policy_there_is_more_to_find_and_nothing_else(events: int, seed: int) -> None:
    simulation = Simulation(events, seed, own_policy=True)
    expected = {label.finding for label in simulation.truth() if label.expected}
    sign = simulation.signer(Masters({"m1": MASTER}))
    of_policy = {finding for finding in expected if finding.cause in ("exports", "pipelines")}

    assert judge(simulation.keys(), simulation.events(), simulation.policy(), sign) == expected
    missed = expected - judge(simulation.keys(), simulation.events())
    assert {finding.rule for finding in missed} == {"redundant_grant", "toxic_combination", *OF_OWN_POLICY}
    assert of_policy < missed
    plain = Simulation(events, seed, anomalies=False, own_policy=True)
    assert judge(plain.keys(), plain.events(), plain.policy(), plain.signer(Masters({}))) == set()


def test_arrival_order_does_not_matter_to_the_labels() -> None:
    simulation = Simulation(20_000, 11)
    expected = {label.finding for label in simulation.truth() if label.expected}
    in_order = sorted(simulation.events(), key=lambda event: (event.occurred_at, event.event_id))

    assert judge(simulation.keys(), in_order) == expected


def test_without_anomalies_there_is_nothing_to_find() -> None:
    simulation = Simulation(20_000, 3, anomalies=False)

    assert simulation.truth() == []
    assert judge(simulation.keys(), simulation.events()) == set()


@pytest.mark.parametrize(("events", "least", "most"), [(3_000, 1, 6), (200_000, 8, 20)])
def test_every_rule_has_anomalies_and_near_misses(events: int, least: int, most: int) -> None:
    labels = Simulation(events, 1).truth()
    due = Counter(label.rule for label in labels if label.expected)
    near = Counter(label.rule for label in labels if not label.expected)

    assert due.keys() == near.keys() == RULES
    assert least <= min(due.values())
    assert max(due.values()) <= most


def test_a_label_stands_for_one_finding_and_names_its_events() -> None:
    simulation = Simulation(20_000, 5)
    labels = simulation.truth()
    sent = {event.event_id for event in simulation.events()}

    assert len({label.finding for label in labels}) == len(labels)
    assert all(label.event_ids and sent.issuperset(label.event_ids) for label in labels)


@pytest.mark.parametrize("events", [3_000, 3_500, 9_000, 60_000, 500_000, 10_000_000])
def test_the_company_is_large_enough_for_its_anomalies(events: int) -> None:
    for seed in range(10 if events < 20_000 else 2):
        Simulation(events, seed)
