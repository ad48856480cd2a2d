"""Scores, and the file that holds the truth."""

from pathlib import Path

import pytest

from keytrail.producers.simulation import Finding, Label, Simulation
from keytrail.producers.simulation.scoring import Settling, compare, total
from keytrail.producers.simulation.truth import read_truth, write_truth
from keytrail.schemas.errors import KeytrailError, UsageError


def finding(rule: str, entity: str) -> Finding:
    return Finding(rule, "subject", entity, "")


def label(rule: str, entity: str, *, expected: bool = True) -> Label:
    return Label(rule, "subject", entity, "", expected, ["id"], "2026-01-05T00:00:00+00:00", "note")


LABELS = [
    label("role_sprawl", "ada"),
    label("role_sprawl", "bea"),
    label("role_sprawl", "eva", expected=False),
    label("trust_change", "deploy"),
]


def test_each_rule_is_scored_by_itself() -> None:
    found = [finding("role_sprawl", name) for name in ("ada", "eva", "uma")]

    sprawl, trust = compare(LABELS, [*found, *found])

    assert sprawl.rule == "role_sprawl"
    assert sprawl.found == (finding("role_sprawl", "ada"),)
    assert sprawl.missed == (finding("role_sprawl", "bea"),)
    assert sprawl.wrong == (finding("role_sprawl", "eva"), finding("role_sprawl", "uma"))
    assert sprawl.near_misses == (finding("role_sprawl", "eva"),)
    assert sprawl.recall == pytest.approx(1 / 2)
    assert sprawl.precision == pytest.approx(1 / 3)
    assert (trust.rule, trust.recall, trust.precision) == ("trust_change", 0.0, 1.0)


def test_what_was_taken_back_once_all_had_been_read_is_not_wrong() -> None:
    labels = [*LABELS, label("new_network", "ada"), label("new_network", "bea")]
    names = ("ada", "bea", "uma", "zoe")
    found = [finding(rule, name) for rule in ("new_network", "role_sprawl") for name in names]
    over = {finding(rule, name) for rule in ("new_network", "role_sprawl") for name in ("bea", "uma")}

    network, sprawl, _ = compare(labels, found, over)

    assert network.found == (finding("new_network", "ada"), finding("new_network", "bea"))
    assert network.wrong == (finding("new_network", "zoe"),)
    assert sprawl.wrong == (finding("role_sprawl", "uma"), finding("role_sprawl", "zoe"))


def test_the_total_counts_findings_not_rules() -> None:
    overall = total(compare(LABELS, [finding("role_sprawl", "ada"), finding("trust_change", "deploy")]))

    assert overall.expected == 3
    assert overall.recall == pytest.approx(2 / 3)
    assert overall.precision == 1.0


def test_a_finding_differs_by_every_part_of_its_name() -> None:
    other = [
        Finding("role_sprawl", "key", "ada", ""),
        Finding("role_sprawl", "subject", "ada", "payments"),
    ]
    (sprawl,) = compare([label("role_sprawl", "ada")], other)
    assert (sprawl.found, len(sprawl.wrong)) == ((), 2)


def test_a_rule_that_nobody_labelled_is_all_wrong() -> None:
    (score,) = compare([], [finding("trust_change", "deploy")])
    assert (score.recall, score.precision) == (1.0, 0.0)


def test_nothing_expected_and_nothing_found_is_perfect() -> None:
    overall = total(compare([], []))
    assert (overall.recall, overall.precision) == (1.0, 1.0)


def test_waiting_ends_when_recall_is_reached_and_the_numbers_stand() -> None:
    settling = Settling(min_recall=0.5, quiet_s=20)
    one = total(compare(LABELS, [finding("role_sprawl", "ada")]))
    two = total(compare(LABELS, [finding("role_sprawl", "ada"), finding("trust_change", "deploy")]))

    assert not settling.is_over(one, 0.0)
    assert not settling.is_over(two, 2.0)
    assert settling.is_over(two, 4.0)


def test_waiting_ends_when_nothing_comes_any_more() -> None:
    settling = Settling(min_recall=1.0, quiet_s=20)
    none = total(compare(LABELS, []))
    one = total(compare(LABELS, [finding("role_sprawl", "ada")]))

    assert not settling.is_over(none, 0.0)
    assert not settling.is_over(none, 100.0)
    assert not settling.is_over(one, 101.0)
    assert not settling.is_over(one, 120.0)
    assert settling.is_over(one, 121.0)


def test_a_truth_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    labels = Simulation(3_000, 1).truth()
    path = tmp_path / "truth.jsonl"

    write_truth(path, labels)

    assert read_truth(path) == labels
    assert list(tmp_path.iterdir()) == [path]


def test_a_truth_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.mkdir()

    with pytest.raises(KeytrailError, match=r"truth\.jsonl"):
        write_truth(path, LABELS)

    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["{", "[1]", '{"rule": "x"}', "7"])
def test_a_file_of_something_else_is_refused_by_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.jsonl"
    write_truth(path, LABELS)
    path.write_text(path.read_text() + text + "\n")

    with pytest.raises(UsageError, match="line 5"):
        read_truth(path)


def test_a_truth_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.jsonl"):
        read_truth(tmp_path / "gone.jsonl")
