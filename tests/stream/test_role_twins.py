"""Described roles that give the same, or nearly."""

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.cli.main import main
from keytrail.stream.policies.role_model import DescribedRole, RoleModel
from keytrail.stream.policies.role_twins import NEAR, Twins, twins


def model(**roles: str) -> RoleModel:
    return RoleModel(DescribedRole(name, tuple(permissions)) for name, permissions in roles.items())


def test_the_same_come_before_the_nearly_same() -> None:
    assert twins(model(a="pqrst", b="tsrqp", c="pqrs", d="xy", e="", f="")) == [
        Twins("a", "b", 0, 5),
        Twins("c", "a", 1, 5),
    ]


def test_a_role_is_no_twin_of_one_that_it_adds_to() -> None:
    roles = (DescribedRole("base", tuple("pqrst")), DescribedRole("plus", ("u",), ("base",)))
    assert twins(RoleModel(roles)) == []


def test_there_are_a_hundred_at_most() -> None:
    assert len(twins(model(**{f"r{number}": "pq" for number in range(500)}))) == 100


@given(st.lists(st.frozensets(st.sampled_from("abcdefghij"), min_size=1), max_size=10, unique=True))
def test_no_pair_is_missed_and_none_is_invented(contents: list[frozenset[str]]) -> None:
    every = {f"r{number}": "".join(sorted(given)) for number, given in enumerate(contents)}
    found = {tuple(sorted((pair.one, pair.other))) for pair in twins(model(**every))}
    assert found == {
        (one, other)
        for one, other in combinations(sorted(every), 2)
        if len(set(every[one]) & set(every[other])) >= NEAR * len(set(every[one]) | set(every[other]))
    }


def test_check_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\nroles:\n- {name: clerk, permissions: [a, b, c, d]}\n"
        "- {name: cashier, permissions: [d, c, b, a]}\n"
        "- {name: teller, permissions: [a, b, c, d, e]}\n- {name: other, permissions: [x]}\n"
    )
    assert main(["policy", "check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "cashier and clerk give the same. One of them may do.",
        "cashier and teller give nearly the same: 1 of 5 permissions differ. One of them may do.",
    ]
